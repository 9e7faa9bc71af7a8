package quickbi_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/usher-bi/usher/internal/quickbi"
)

func TestMeaningOf(t *testing.T) {
	t.Parallel()

	tests := []struct {
		apiCode string
		class   quickbi.Class
		code    string
	}{
		// The page of SmartqAuthorize.
		{"Internal.System.Error", quickbi.ClassTransient, "server_error"},
		{"Invalid.Parameter.Error", quickbi.ClassRequest, "invalid_parameter"},
		{"Date.Format.Error", quickbi.ClassRequest, "invalid_expiry"},
		{"Date.Exceed.Error", quickbi.ClassRequest, "invalid_expiry"},
		{"UserRoleConfig.NotContain.Function", quickbi.ClassUser, "user_lacks_permission"},
		{"User.Not.In.Organization", quickbi.ClassUserGone, "user_not_in_organization"},
		{"Query.Auth.Error", quickbi.ClassResource, "query_not_permitted"},
		{"ApiUser.Not.Exists", quickbi.ClassUser, "user_not_exist"},
		{"Share.ExpireDate.Error", quickbi.ClassRequest, "invalid_expiry"},
		{"RobotNl2sql.Moudle.NotPurchase", quickbi.ClassAccount, "smartq_not_purchased"},
		{"API.Not.Exist", quickbi.ClassAccount, "endpoint_rejected"},
		// The list for the whole product.
		{"User.Not.WorkspaceAdmin", quickbi.ClassResource, "caller_not_workspace_admin"},
		{"UserInfo.Error", quickbi.ClassUser, "user_info_invalid"},
		{"Application.Object.NotExist", quickbi.ClassResource, "resource_not_exist"},
		{"Not.ApiCall.AuthUser", quickbi.ClassAccount, "caller_not_authorized"},
		{"System.Param.Empty", quickbi.ClassRequest, "missing_parameter"},
		{"Invalid.Param.Error", quickbi.ClassRequest, "invalid_parameter"},
		{"Invalid.Parameter", quickbi.ClassRequest, "invalid_parameter"},
		{"Invalid.User.Admin", quickbi.ClassAccount, "caller_not_authorized"},
		{"Ram.AuthCheck.Error", quickbi.ClassAccount, "ram_denied"},
		{"Invalid.Organization", quickbi.ClassAccount, "organization_not_exist"},
		{"Access.Forbidden", quickbi.ClassAccount, "access_forbidden"},
		{"Instance.Expired", quickbi.ClassAccount, "instance_expired"},
		{"Instance.Not.Exist", quickbi.ClassAccount, "instance_not_exist"},
		// Sister operations say these of a user who left.
		{"Invalid.User.Organization", quickbi.ClassUserGone, "user_not_in_organization"},
		{"User.NotBelongTo.CurrentOrganization", quickbi.ClassUserGone, "user_not_in_organization"},
		// The gateway.
		{"MissingUserIds", quickbi.ClassRequest, "missing_parameter"},
		{"MissingAccessKeyId", quickbi.ClassAccount, "credentials_rejected"},
		{"InvalidUserIds", quickbi.ClassRequest, "invalid_parameter"},
		{"InvalidParameter", quickbi.ClassRequest, "invalid_parameter"},
		{"InvalidApi.NotFound", quickbi.ClassAccount, "endpoint_rejected"},
		{"InvalidAction.NotFound", quickbi.ClassAccount, "endpoint_rejected"},
		{"InvalidProduct.NotFound", quickbi.ClassAccount, "endpoint_rejected"},
		{"InvalidVersion", quickbi.ClassAccount, "endpoint_rejected"},
		{"InvalidProtocol.NeedSsl", quickbi.ClassAccount, "endpoint_rejected"},
		{"UnsupportedHTTPMethod", quickbi.ClassAccount, "endpoint_rejected"},
		{"InvalidAccessKeyId.NotFound", quickbi.ClassAccount, "credentials_rejected"},
		{"InvalidAccessKeyId.Inactive", quickbi.ClassAccount, "credentials_rejected"},
		{"InvalidSecurityToken.MismatchWithAccessKey", quickbi.ClassAccount, "credentials_rejected"},
		{"SignatureDoesNotMatch", quickbi.ClassAccount, "signature_rejected"},
		{"IncompleteSignature", quickbi.ClassAccount, "signature_rejected"},
		{"InvalidSignatureMethod", quickbi.ClassAccount, "signature_rejected"},
		{"InvalidTimeStamp.Format", quickbi.ClassAccount, "clock_skew"},
		{"InvalidTimeStamp.Expired", quickbi.ClassAccount, "clock_skew"},
		{"SignatureNonceUsed", quickbi.ClassTransient, "nonce_reused"},
		{"Forbidden.RAM", quickbi.ClassAccount, "ram_denied"},
		{"Forbidden", quickbi.ClassAccount, "ram_denied"},
		{"Forbidden.RiskControl", quickbi.ClassAccount, "risk_control"},
		{"NoPermission", quickbi.ClassAccount, "ram_denied"},
		{"Throttling", quickbi.ClassThrottled, "throttled"},
		{"Throttling.User", quickbi.ClassThrottled, "throttled"},
		{"Throttling.Api", quickbi.ClassThrottled, "throttled"},
		{"Throttling.Anything", quickbi.ClassThrottled, "throttled"},
		{"Rejected.Throttling", quickbi.ClassThrottled, "throttled"},
		{"ServiceUnavailable", quickbi.ClassTransient, "service_unavailable"},
		{"InternalError", quickbi.ClassTransient, "server_error"},
		// Codes to learn.
		{"Invalid.Whatever", quickbi.ClassUnrecognised, "unrecognised_refusal"},
		{"Missing", quickbi.ClassUnrecognised, "unrecognised_refusal"},
		{"Invalidated", quickbi.ClassUnrecognised, "unrecognised_refusal"},
		{"user.not.in.organization", quickbi.ClassUnrecognised, "unrecognised_refusal"},
		{"", quickbi.ClassUnrecognised, "unrecognised_refusal"},
	}
	for _, tt := range tests {
		t.Run(tt.apiCode, func(t *testing.T) {
			t.Parallel()

			got := quickbi.MeaningOf(tt.apiCode)
			if got.Class != tt.class || got.Code != tt.code {
				t.Errorf("meaning = %s, %s; want %s, %s", got.Class, got.Code, tt.class, tt.code)
			}
			if got.Hint == "" || quickbi.HintFor(got.Code) != got.Hint {
				t.Errorf("hint %q, by code %q", got.Hint, quickbi.HintFor(got.Code))
			}
			for _, status := range []int{200, 400, 500} {
				err := fmt.Errorf("sending: %w", &quickbi.Error{Code: tt.apiCode, HTTPStatus: status})
				if tt.apiCode != "" && quickbi.Classify(err) != tt.class {
					t.Errorf("class with HTTP %d = %s, want %s", status, quickbi.Classify(err), tt.class)
				}
			}
		})
	}
}

// What can be retried is what nobody has to correct in the change itself.
func TestRetryable(t *testing.T) {
	t.Parallel()

	for apiCode, want := range map[string]bool{
		"Throttling": true, "Internal.System.Error": true, "Instance.Expired": true,
		"User.Not.In.Organization": false, "ApiUser.Not.Exists": false, "Query.Auth.Error": false,
		"Invalid.Parameter": false, "Never.Seen.Before": false,
	} {
		if got := quickbi.MeaningOf(apiCode).Retryable; got != want {
			t.Errorf("%s: retryable = %t, want %t", apiCode, got, want)
		}
	}
	if !quickbi.Explain(&quickbi.TransportError{Sent: true}).Retryable {
		t.Error("an unknown outcome cannot be retried")
	}
}

func TestClassifyOthers(t *testing.T) {
	t.Parallel()

	if got := quickbi.Classify(nil); got != quickbi.ClassOK {
		t.Errorf("class of nil = %s", got)
	}
	if got := quickbi.Classify(errors.New("from elsewhere")); got != quickbi.ClassUnknownOutcome {
		t.Errorf("class of a foreign error = %s: it proves nothing", got)
	}
	if got := quickbi.HintFor("no_such_code"); got != "" {
		t.Errorf("hint for a foreign code = %q", got)
	}
}
