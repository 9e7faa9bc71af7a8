package quickbitest

import (
	"errors"
	"fmt"
)

// Account is a name under which a user can be looked up. A name may be there more
// than once, with different parents.
type Account struct {
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"` // the main account of a RAM user
	User   string `json:"user"`
}

// MissingAccount says how a look-up of an account is answered that nobody has.
// The API page leaves it open.
type MissingAccount string

// The ways to answer, the default first.
const (
	MissingAccountRefused MissingAccount = "refuse" // as a user who is not in the organisation
	MissingAccountEmpty   MissingAccount = "empty"  // success, and a Result without a user
)

func checkAccounts(accounts []Account, hasUser func(string) bool) error {
	var errs []error
	for _, a := range accounts {
		if !validID(a.Name) || a.Parent != "" && !validID(a.Parent) || !hasUser(a.User) {
			errs = append(errs, fmt.Errorf("accounts: %q of %q: want a name without white space or comma, and a user", a.Name, a.User))
		}
	}
	return errors.Join(errs...)
}

// userInfo is the Result of QueryUserInfoByAccount.
//
//nolint:tagliatelle // the names are the API's
type userInfo struct {
	UserID      string   `json:"UserId"`
	AccountName string   `json:"AccountName"`
	UserType    UserType `json:"UserType"`
}

func readAccount(f *form) order {
	f.only("Account", "ParentAccountName")
	name, parent := f.id("Account"), f.values["ParentAccountName"]
	return order{do: func(s *scene) (outcome, *refusal) {
		var found []Account
		for _, a := range s.accounts {
			if a.Name == name && (parent == "" || a.Parent == parent) {
				found = append(found, a)
			}
		}
		switch {
		case len(found) > 1: // the page speaks of a duplicate user; the code is not published
			return outcome{}, &refusal{code: "User.Duplicate", message: "The user is a duplicate user. Specify ParentAccountName."}
		case len(found) == 0 && s.opts.MissingAccount == MissingAccountEmpty:
			return outcome{result: struct{}{}}, nil
		case len(found) == 0:
			return outcome{}, &refusal{code: "User.Not.In.Organization", message: textNotInOrganisation}
		}
		return outcome{result: userInfo{UserID: found[0].User, AccountName: name, UserType: max(Developer, s.userTypes[found[0].User])}}, nil
	}}
}
