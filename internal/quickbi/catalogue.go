package quickbi

// Codes of ours that more than the catalogue refers to. All of them are API.
const (
	codeClockSkew           = "clock_skew"
	codeCredentialsRejected = "credentials_rejected"
	codeInvalidExpiry       = "invalid_expiry"
	codeInvalidParameter    = "invalid_parameter"
	codeMissingParameter    = "missing_parameter"
	codeNoCredentials       = "credentials_unavailable"
	codeNotQuickBI          = "endpoint_rejected"
	codeOutcomeUnknown      = "outcome_unknown"
	codeRAMDenied           = "ram_denied"
	codeRefused             = "refused_by_quickbi"
	codeResourceNotExist    = "resource_not_exist"
	codeServerError         = "server_error"
	codeServiceUnavailable  = "service_unavailable"
	codeSignatureRejected   = "signature_rejected"
	codeThrottled           = "throttled"
	codeTooLarge            = "request_too_large"
	codeUnreachable         = "quickbi_unreachable"
	codeUnrecognised        = "unrecognised_refusal"
	codeUserGone            = "user_not_in_organization"
	codeUserInWorkspace     = "user_already_in_workspace"
	codeUserLacksFunction   = "user_lacks_permission"
	codeUserNotExist        = "user_not_exist"
	codeUserNotInWorkspace  = "user_not_in_workspace"
)

// entry is one meaning and every API code that has it.
type entry struct {
	class Class
	code  string
	api   []string
	hint  string
}

// catalogue holds every code of the SmartqAuthorize page, of the product's list
// of common errors and of the gateway's, spelled as the API spells them. The
// classes are our reading: the pages give a sentence at most.
var catalogue = []entry{
	// The user.
	{
		ClassUserGone, codeUserGone,
		[]string{"User.Not.In.Organization", "Invalid.User.Organization", "User.NotBelongTo.CurrentOrganization"},
		"Add the user to the Quick BI organization first, or remove the row if the user has left.",
	},
	{
		// Also the answer when the owner of the AccessKey is not in the
		// organization, so it is not taken for a leaver.
		ClassUser, codeUserNotExist,
		[]string{"ApiUser.Not.Exists", "Invalid.User"},
		"Check that the id is the Quick BI user id, not the Alibaba Cloud UID; if every user gets this, the owner of the AccessKey is not in the organization.",
	},
	{
		ClassUser, "user_info_invalid",
		[]string{"UserInfo.Error"},
		"Have an administrator check this user's profile in Quick BI.",
	},
	{
		ClassUser, codeUserLacksFunction,
		[]string{"UserRoleConfig.NotContain.Function"},
		"Give the user a role or a seat that includes Smart Q; if every user gets this, the owner of the AccessKey lacks it.",
	},
	{
		ClassUser, codeUserInWorkspace, nil,
		"The user is a member of the workspace already; change the role there if it is not the wanted one.",
	},
	{
		ClassUser, codeUserNotInWorkspace, nil,
		"Add the user to the workspace first, or remove the row.",
	},

	// The resource.
	{
		ClassResource, codeResourceNotExist,
		[]string{"Application.Object.NotExist", "Cube.Not.Exist"},
		"Check the resource id and type in Quick BI; the resource may have been deleted, or Q&A is not switched on for the dataset.",
	},
	{
		ClassResource, "query_not_permitted",
		[]string{"Query.Auth.Error"},
		"Give the owner of the AccessKey rights on this resource, then submit the row again.",
	},
	{
		ClassResource, "caller_not_workspace_admin",
		[]string{"User.Not.WorkspaceAdmin"},
		"Make the owner of the AccessKey an administrator of the workspace that holds the resource.",
	},

	// The parameters.
	{
		ClassRequest, codeInvalidParameter,
		[]string{"Invalid.Parameter.Error", "Invalid.Param.Error", "Invalid.Parameter", "Parameter.Length.Exceed"},
		"Compare the ids and the date of the row with Quick BI; one of them is malformed.",
	},
	{
		ClassRequest, codeMissingParameter,
		[]string{"System.Param.Empty"},
		"Fill in what is missing in the row; if nothing is, report the request id as a fault of this program.",
	},
	{
		ClassRequest, codeInvalidExpiry,
		[]string{"Share.ExpireDate.Error", "Date.Format.Error", "Date.Exceed.Error"},
		"Use a later expiry date of the form YYYY-MM-DD that Quick BI accepts.",
	},
	{
		ClassRequest, codeTooLarge, nil,
		"Submit again; if it persists, send the parameters in the body instead of the query.",
	},

	// The account that calls.
	{
		ClassAccount, "smartq_not_purchased",
		[]string{"RobotNl2sql.Moudle.NotPurchase", "RobotNl2sql.Module.NotPurchase"},
		"Buy the Smart Q module for the organization, or renew it.",
	},
	{
		ClassAccount, "instance_expired",
		[]string{"Instance.Expired"},
		"Renew the Quick BI instance.",
	},
	{
		ClassAccount, "instance_not_exist",
		[]string{"Instance.Not.Exist"},
		"Check that the endpoint is of the region of the Quick BI instance and that the AccessKey is of its account.",
	},
	{
		ClassAccount, "organization_not_exist",
		[]string{"Invalid.Organization"},
		"Have the owner of the AccessKey log on to Quick BI once and join the organization.",
	},
	{
		ClassAccount, "caller_not_authorized",
		[]string{"Not.ApiCall.AuthUser", "Invalid.User.Admin"},
		"Make the owner of the AccessKey an organization administrator or grant the right to call the API; it takes effect after about five minutes.",
	},
	{
		ClassAccount, "access_forbidden",
		[]string{"Access.Forbidden"},
		"Use an AccessKey of an organization administrator of a Professional Edition instance.",
	},
	{
		ClassAccount, codeRAMDenied,
		[]string{"Ram.AuthCheck.Error", "Forbidden.RAM", "NoPermission"},
		"Allow the action quickbi-public:<Action> in the RAM policy of the identity that calls.",
	},
	{
		ClassAccount, "risk_control",
		[]string{"Forbidden.RiskControl"},
		"Alibaba Cloud blocked the account for security reasons; ask its support with the request id.",
	},
	{
		ClassAccount, codeCredentialsRejected,
		[]string{
			"InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "InvalidSecurityToken.Expired",
			"InvalidSecurityToken.Malformed", "MissingAccessKeyId", "MissingSecurityToken",
		},
		"Check that the AccessKey exists, is enabled and belongs to this account, and that a temporary one has not expired.",
	},
	{
		ClassAccount, codeSignatureRejected,
		[]string{"SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureMethod"},
		"Check the AccessKey secret for missing or extra characters, and that no proxy rewrites requests.",
	},
	{
		ClassAccount, codeClockSkew,
		[]string{"InvalidTimeStamp.Expired", "InvalidTimeStamp.Format"},
		"Set the clock of this machine; Quick BI accepts no more than 15 minutes of difference.",
	},
	{
		ClassAccount, codeNotQuickBI,
		[]string{"InvalidApi.NotFound", "InvalidProduct.NotFound", "InvalidProtocol.NeedSsl", "UnsupportedHTTPMethod", "API.Not.Exist"},
		"Check the endpoint: it must be the Quick BI API of the right region, with no proxy or log-on page in between.",
	},
	{
		ClassAccount, codeNoCredentials, nil,
		"Check the configured credential provider: it gave no usable credentials.",
	},

	// The moment.
	{
		ClassThrottled, codeThrottled,
		[]string{"Throttling", "Throttling.User", "Throttling.Api", "Rejected.Throttling"},
		"Wait; if it persists, lower the configured rate or have the quota raised.",
	},
	{
		ClassTransient, codeServerError,
		[]string{"Internal.System.Error", "InternalError"},
		"Retry later; if it persists, give the request id to Alibaba Cloud support.",
	},
	{
		ClassTransient, codeServiceUnavailable,
		[]string{"ServiceUnavailable"},
		"Retry later; Quick BI is temporarily unavailable.",
	},
	{
		ClassTransient, "nonce_reused",
		[]string{"SignatureNonceUsed"},
		"Retry; if it persists, look for a proxy that sends requests twice.",
	},
	{
		ClassTransient, codeUnreachable, nil,
		"Check name resolution, firewall and proxy between this machine and the Quick BI endpoint, then retry.",
	},
	{
		ClassUnknownOutcome, codeOutcomeUnknown, nil,
		"Retry: the answer was lost, so the change may or may not have been made.",
	},

	// The rest.
	{
		ClassUnrecognised, codeUnrecognised, nil,
		"Look up the API code and message in the Quick BI documentation, or give the request id to Alibaba Cloud support.",
	},
	{
		ClassUnrecognised, codeRefused, nil,
		"Read the message of Quick BI beside it; it names no reason that this program knows.",
	},
}
