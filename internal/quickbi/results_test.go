package quickbi

import (
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// decoders read the results of all operations but SmartqAuthorize, for which
// two users, u-1 and u-2, were sent where users are listed.
var decoders = map[string]func(answer) (any, error){
	addUserToWorkspace:    func(a answer) (any, error) { return a.done() },
	addWorksAuthorization: func(a answer) (any, error) { return worksResponse(a) },
	addWorkspaceUsers:     func(a answer) (any, error) { return membersResponse(a, []string{"u-1", "u-2"}) },
	queryShareList:        func(a answer) (any, error) { return shareListResponse(a) },
	querySharesToUserList: func(a answer) (any, error) { return sharesToUserResponse(a) },
	queryUserRoleInfoInWorkspace: func(a answer) (any, error) {
		return roleResponse(a)
	},
	listWorkspaceRoles: func(a answer) (any, error) { return rolesResponse(a) },
	querySmartqAccess:  func(a answer) (any, error) { return smartqAccessResponse(a) },
}

// Whatever a result is, it is read as what it says or not at all.
func FuzzDecodeResults(f *testing.F) {
	for _, result := range []string{
		`true`, `"true"`, `false`, `0`, `null`, `""`, `"a-1"`, `"\"a-1\""`, `[]`, `{}`, `"[]"`, `"{`, `[null]`, `[[]]`, `{"key":"\"a\":\"b\""}`,
		`{"Total":2,"Success":1,"Failure":1,"FailureDetail":{"u-1":"AE0150010001: This user already exists."}}`,
		`{"Total":"2","Success":"1","Failure":"1","FailureDetail":"{\"notExsistUserIds\":[\"u-1\"]}"}`,
		`[{"WorksId":"w","Status":1,"CreateTime":"1530078690000","Directory":{"Id":"d"}}]`,
		`[{"ShareToId":"u","ShareToType":"0","ExpireDate":1640102400000}]`, `[{"RoleId":"25","RoleName":"n\u0000"}]`, `{"RoleId":25}`,
		`{"CubeIds":{"d":"n"},"ThemeIds":"{\"t\":7}"}`, `{"CubeIds":{"":""}}`, `9223372036854775808`, `{"Failure":-1}`, `"\ud800"`,
	} {
		f.Add(result)
	}
	saysYes := regexp.MustCompile(`(?i)true|1|\\u00`)

	f.Fuzz(func(t *testing.T, result string) {
		a, err := decodeAnswer(reply{
			action: "A", status: 200, header: http.Header{}, maxBody: 1 << 20,
			body: []byte(`{"Success":true,"RequestId":"R","Result":` + result + `}`),
		})
		if err != nil {
			return
		}
		for action, decode := range decoders {
			got, err := decode(a)
			if err == nil {
				wantLegible(t, action, reflect.ValueOf(got))
				if action == addUserToWorkspace && !saysYes.MatchString(result) {
					t.Errorf("%s: %s passed for a yes", action, result)
				}
				continue
			}
			_, refused := errors.AsType[*Error](err)
			if _, unusable := errors.AsType[*AnswerError](err); refused == unusable {
				t.Errorf("%s: %v is neither a refusal nor an unusable answer", action, err)
			}
			if !reflect.ValueOf(got).IsZero() {
				t.Errorf("%s: %v comes with %+v", action, err, got)
			}
		}
		if m, err := membersResponse(a, []string{"u-1", "u-2"}); err == nil && (m.Success+m.Failure != 2 || m.Failure > 0 && len(m.FailureDetail) == 0) {
			t.Errorf("%+v does not account for two users", m)
		}
	})
}

// wantLegible fails t if a text in v is not fit for one line of a log and a
// column of a database, or if an id that is promised is empty.
func wantLegible(t *testing.T, action string, v reflect.Value) {
	t.Helper()
	if v.Type() == reflect.TypeFor[time.Time]() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			t.Errorf("%s: %q is not fit for a database", action, s)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Field(i).IsZero() && (name == "WorksID" || name == "ShareToID" || name == "AuthorizationID") {
				t.Errorf("%s: %s is empty", action, name)
			}
			wantLegible(t, action, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			wantLegible(t, action, v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			wantLegible(t, action, key)
			wantLegible(t, action, v.MapIndex(key))
		}
	default:
	}
}
