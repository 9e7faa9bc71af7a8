package intake_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/intake"
)

func readUsers(t *testing.T, file string) *intake.Users {
	t.Helper()
	users, err := intake.ReadUsers(strings.NewReader(file), intake.Options{})
	if err != nil {
		t.Fatalf("reading %q: %v", file, err)
	}
	return users
}

func TestReadUsers(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		file string
		want []string
	}{
		"one a line":        {"u1\nu2\n\nu1\n", []string{"u1", "u2", "u1"}},
		"no line end":       {"u1", []string{"u1"}},
		"CRLF and a mark":   {"\xef\xbb\xbfu1\r\nu2\r\n", []string{"u1", "u2"}},
		"UTF-16":            {"\xff\xfeu\x001\x00\n\x00u\x002\x00", []string{"u1", "u2"}},
		"a column":          {"principal\nu1\n", []string{"u1"}},
		"its other name":    {"Name,User_ID\nBo,u1\n\"Al, jr\",u2\n", []string{"u1", "u2"}},
		"semicolons":        {"name;principal;desk\nBo;u1;7\n", []string{"u1"}},
		"input of a job":    {"action,principal,resource_type,resource_id\ngrant,u1,share,w\nrevoke,u2,share,w\n", []string{"u1", "u2"}},
		"results of a read": {"principal,result__line,result__status\nu1,1,failed\n'-u2,2,failed\n", []string{"u1", "-u2"}},
		"neutralised ids":   {"'-u1\n", []string{"-u1"}},
		"a user by type":    {"principal,principal_type\nu1,User\nu2,\n", []string{"u1", "u2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			users := readUsers(t, tt.file)
			equal(t, "ids", tt.want, users.IDs)
			equal(t, "rows", len(tt.want), users.Rows)
			if users.Errors != nil || users.Warnings != nil {
				t.Errorf("errors %v, warnings %q", users.Errors, users.Warnings)
			}
		})
	}
}

func TestReadUsersReportsEveryBadRow(t *testing.T) {
	t.Parallel()

	for file, want := range map[string][]string{
		"u1\nu 2\nu3,u4\n7.39E+10\nu5\n": {"2 principal invalid_id", "3  wrong_number_of_cells", "4 principal excel_mangled_id"},
		"name,principal\nBo,u1\nAl,\nCy\nDi,u3,x\n\"E,u4\nFi,u5\n": {
			"3 principal missing_value", "4  wrong_number_of_cells", "5  wrong_number_of_cells", "6  malformed_quotes",
		},
		"principal,principal_type\nu1,user\ng1,group\nx,robot\n": {
			"3 principal_type principal_type_not_supported", "4 principal_type unknown_principal_type",
		},
	} {
		users := readUsers(t, file)
		equal(t, "errors of "+file, want, found(&intake.Batch{Errors: users.Errors}))
		for _, e := range users.Errors {
			if e.Message == "" || e.RowID == "" {
				t.Errorf("%+v lacks a message or an id", e)
			}
		}
		if users.Rows != len(users.IDs)+len(users.Errors) {
			t.Errorf("%q: %d rows, %d ids, %d errors", file, users.Rows, len(users.IDs), len(users.Errors))
		}
	}
}

func TestReadUsersRefusesFiles(t *testing.T) {
	t.Parallel()

	for file, want := range map[string]string{
		"":                     intake.CodeEmptyFile,
		"\n\n":                 intake.CodeEmptyFile,
		"principal\n":          intake.CodeNoRows,
		"name,mail\nBo,b@x\n":  intake.CodeMissingColumn,
		"name;mail\nBo;b@x\n":  intake.CodeMissingColumn,
		"PK\x03\x04\x14\x00":   intake.CodeNotACSV,
		"\"u1\nu2\n":           intake.CodeNotACSV,
		"principal,user_id\na": intake.CodeDuplicateColumn,
	} {
		_, err := intake.ReadUsers(strings.NewReader(file), intake.Options{})
		if refused, ok := errors.AsType[*intake.FileError](err); !ok || refused.Code != want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
	_, err := intake.ReadUsers(strings.NewReader("u1\nu2\nu3\n"), intake.Options{MaxRows: 2})
	if refused, ok := errors.AsType[*intake.FileError](err); !ok || refused.Code != intake.CodeTooManyRows {
		t.Errorf("three rows of two: %v", err)
	}
}

func TestReadUsersTakesAHundredThousand(t *testing.T) {
	t.Parallel()

	var file strings.Builder
	var want []string
	for i := range 100_000 {
		want = append(want, "user-"+strconv.Itoa(i))
		file.WriteString(want[i] + "\n")
	}
	equal(t, "ids", want, readUsers(t, file.String()).IDs)
}

func TestCheckUsers(t *testing.T) {
	t.Parallel()

	users := intake.CheckUsers([]string{"u1", "u,2", "1234567890123456"})
	equal(t, "ids", []string{"u1", "1234567890123456"}, users.IDs)
	equal(t, "errors", []string{"2 principal invalid_id"}, found(&intake.Batch{Errors: users.Errors}))
	if len(users.Warnings) != 1 || !strings.Contains(users.Warnings[0], "the first at 3") {
		t.Errorf("warnings are %q", users.Warnings)
	}
}
