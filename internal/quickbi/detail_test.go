package quickbi_test

import (
	"testing"

	"github.com/usher-bi/usher/internal/quickbi"
)

func TestMeaningOfDetail(t *testing.T) {
	t.Parallel()

	const (
		refused  = "refused_by_quickbi"
		gone     = "user_not_in_organization"
		noUser   = "user_not_exist"
		resource = "resource_not_exist"
	)
	tests := []struct{ detail, want string }{
		{"", refused},
		{"INVALID_FILE_FORMAT", refused},
		// Codes inside the text.
		{"User.Not.In.Organization", gone},
		{"user u1: User.Not.In.Organization.", gone},
		{"[Query.Auth.Error] no", "query_not_permitted"},
		{"操作失败（Internal.System.Error）", "server_error"},
		{"UserX.Not.In.Organization", refused},
		{"AE0150010001: This user already exists.", "user_already_in_workspace"},
		{"AE0150010004:The user is not a member of the group workspace.", "user_not_in_workspace"},
		{"AE01500100011", refused},
		// Who is missing.
		{"The specified user does not exist.", noUser},
		{"用户不存在", noUser},
		{"user-7 not found", noUser},
		{"The Q&A resource does not exist", resource},
		{"LlmCube c-1 not exist", resource},
		{"问数资源不存在", resource},
		{"数据集已被删除", resource},
		{"User u1: the Q&A resource does not exist", resource},
		{"用户u1，分析主题不存在", resource},
		// Not plain enough.
		{"c-1 does not exist", refused},
		{"不存在", refused},
		{"The Q&A resource of user u1 does not exist", refused},
		{"用户组不存在", refused},
		{"The user role does not exist", refused},
		{"The user exists", refused},
		// Phrases.
		{"The specified user is not in the organizational unit.", gone},
		{"The user is not in the organization", gone},
		{"用户不在组织中", gone},
		{"AE0550010002: The user does not exist in the organization.", gone},
		{"组织中不存在该用户", gone},
		{"The dataset was not found in the organization", resource},
		{"The organization of the user does not exist", refused},
		{"该用户不属于当前组织", gone},
		{"用户不属于该角色", refused},
		{"The user u1 does not have permission to operate.", "user_lacks_permission"},
		{"An internal system error occurred.", "server_error"},
		{"系统异常，请稍后重试", "server_error"},
		{"Request was denied due to user flow control.", "throttled"},
		{"The expire date is illegal.", "invalid_expiry"},
	}
	for _, tt := range tests {
		t.Run(tt.detail, func(t *testing.T) {
			t.Parallel()

			got := quickbi.MeaningOfDetail(tt.detail)
			if got.Code != tt.want {
				t.Errorf("code = %s, want %s", got.Code, tt.want)
			}
			if wantRetry := tt.want == "server_error" || tt.want == "throttled"; got.Retryable != wantRetry {
				t.Errorf("retryable = %t, want %t", got.Retryable, wantRetry)
			}
		})
	}
}

func TestCodeOfDetail(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]string{
		"AE0150010001: This user already exists.": "AE0150010001",
		"INVALID_FILE_FORMAT":                     "INVALID_FILE_FORMAT",
		"User.Not.In.Organization":                "User.Not.In.Organization",
		"The user does not exist.":                "",
		"Error: the user does not exist":          "",
		"用户不存在":                                   "",
		"":                                        "",
		"reason 7: no":                            "",
	} {
		if got := quickbi.CodeOfDetail(detail); got != want {
			t.Errorf("CodeOfDetail(%q) = %q, want %q", detail, got, want)
		}
	}
}
