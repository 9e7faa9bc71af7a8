package quickbi

// aboutRequests are the refusals of parameters.
var aboutRequests = []entry{
	{
		class: ClassRequest, code: codeInvalidParameter,
		api:    []string{"Invalid.Parameter.Error", "Invalid.Param.Error", "Invalid.Parameter", "Parameter.Length.Exceed"},
		hint:   "Compare the ids and the date of the row with Quick BI; one of them is malformed.",
		hintZH: "请与 Quick BI 核对这一行的 ID 和日期；其中有格式错误。",
	},
	{
		class: ClassRequest, code: codeMissingParameter,
		api:    []string{"System.Param.Empty"},
		hint:   "Fill in what is missing in the row; if nothing is, report the request id as a fault of this program.",
		hintZH: "请补全这一行缺少的内容；如果没有缺少，请把请求 ID 作为本程序的缺陷上报。",
	},
	{
		class: ClassRequest, code: codeInvalidExpiry,
		api:    []string{"Share.ExpireDate.Error", "Date.Format.Error", "Date.Exceed.Error"},
		hint:   "Use a later expiry date of the form YYYY-MM-DD that Quick BI accepts.",
		hintZH: "请使用 Quick BI 接受的、更晚的到期日，格式为 YYYY-MM-DD。",
	},
	{
		class: ClassRequest, code: "invalid_role",
		api:    []string{"User.RoleType.Valid", "BindRole.NotExist.Error"},
		hint:   "Check the role against the roles of the workspace in Quick BI; no row with this role can succeed.",
		hintZH: "请在 Quick BI 中核对空间角色；使用该角色的行都无法成功。",
	},
	{
		class: ClassRequest, code: codeTooLarge,
		hint:   "Submit again; if it persists, send the parameters in the body instead of the query.",
		hintZH: "请重新提交；如果仍然失败，请改为在请求正文中发送参数。",
	},
}

// aboutAccounts are the refusals of the account that calls.
var aboutAccounts = []entry{
	{
		class: ClassAccount, code: "smartq_not_purchased",
		api:    []string{"RobotNl2sql.Moudle.NotPurchase", "RobotNl2sql.Module.NotPurchase"},
		hint:   "Buy the Smart Q module for the organization, or renew it.",
		hintZH: "请为组织购买或续费智能小Q模块。",
	},
	{
		class: ClassAccount, code: "instance_expired",
		api:    []string{"Instance.Expired"},
		hint:   "Renew the Quick BI instance.",
		hintZH: "请续费 Quick BI 实例。",
	},
	{
		class: ClassAccount, code: "instance_not_exist",
		api:    []string{"Instance.Not.Exist"},
		hint:   "Check that the endpoint is of the region of the Quick BI instance and that the AccessKey is of its account.",
		hintZH: "请确认接入地址与 Quick BI 实例在同一地域，且 AccessKey 属于该实例的账号。",
	},
	{
		class: ClassAccount, code: "organization_not_exist",
		api:    []string{"Invalid.Organization"},
		hint:   "Have the owner of the AccessKey log on to Quick BI once and join the organization.",
		hintZH: "请 AccessKey 的所有者登录一次 Quick BI 并加入组织。",
	},
	{
		class: ClassAccount, code: "caller_not_authorized",
		api:    []string{"Not.ApiCall.AuthUser", "Invalid.User.Admin"},
		hint:   "Make the owner of the AccessKey an organization administrator or grant the right to call the API; it takes effect after about five minutes.",
		hintZH: "请把 AccessKey 的所有者设为组织管理员，或授予其 API 调用权限；约五分钟后生效。",
	},
	{
		class: ClassAccount, code: "access_forbidden",
		api:    []string{"Access.Forbidden"},
		hint:   "Use an AccessKey of an organization administrator of a Professional Edition instance.",
		hintZH: "请使用专业版实例的组织管理员的 AccessKey。",
	},
	{
		class: ClassAccount, code: codeRAMDenied,
		api:    []string{"Ram.AuthCheck.Error", "Forbidden.RAM", "NoPermission"},
		hint:   "Allow the action quickbi-public:<Action> in the RAM policy of the identity that calls.",
		hintZH: "请在调用身份的 RAM 权限策略中允许操作 quickbi-public:<Action>。",
	},
	{
		class: ClassAccount, code: "risk_control",
		api:    []string{"Forbidden.RiskControl"},
		hint:   "Alibaba Cloud blocked the account for security reasons; ask its support with the request id.",
		hintZH: "阿里云出于安全原因限制了该账号；请携带请求 ID 联系阿里云技术支持。",
	},
	{
		class: ClassAccount, code: codeCredentialsRejected,
		api: []string{
			"InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "InvalidSecurityToken.Expired",
			"InvalidSecurityToken.Malformed", "MissingAccessKeyId", "MissingSecurityToken",
		},
		hint:   "Check that the AccessKey exists, is enabled and belongs to this account, and that a temporary one has not expired.",
		hintZH: "请确认 AccessKey 存在、已启用并属于该账号；如为临时凭证，请确认尚未过期。",
	},
	{
		class: ClassAccount, code: codeSignatureRejected,
		api:    []string{"SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureMethod"},
		hint:   "Check the AccessKey secret for missing or extra characters, and that no proxy rewrites requests.",
		hintZH: "请检查 AccessKey Secret 是否缺少或多出字符，并确认没有代理改写请求。",
	},
	{
		class: ClassAccount, code: codeClockSkew,
		api:    []string{"InvalidTimeStamp.Expired", "InvalidTimeStamp.Format"},
		hint:   "Set the clock of this machine; Quick BI accepts no more than 15 minutes of difference.",
		hintZH: "请校准本机时钟；Quick BI 允许的时间偏差不超过 15 分钟。",
	},
	{
		class: ClassAccount, code: codeNotQuickBI,
		api:    []string{"InvalidApi.NotFound", "InvalidProduct.NotFound", "InvalidProtocol.NeedSsl", "UnsupportedHTTPMethod", "API.Not.Exist"},
		hint:   "Check the endpoint: it must be the Quick BI API of the right region, with no proxy or log-on page in between.",
		hintZH: "请检查接入地址：必须是正确地域的 Quick BI API，中间不能有代理或登录页。",
	},
	{
		class: ClassAccount, code: codeNoCredentials,
		hint:   "Check the configured credential provider: it gave no usable credentials.",
		hintZH: "请检查所配置的凭证来源：没有取得可用的凭证。",
	},
}

// aboutMoments are what passes.
var aboutMoments = []entry{
	{
		class: ClassThrottled, code: codeThrottled,
		api:    []string{"Throttling", "Throttling.User", "Throttling.Api", "Rejected.Throttling"},
		hint:   "Wait; if it persists, lower the configured rate or have the quota raised.",
		hintZH: "请等待；如果持续出现，请降低配置的调用频率或申请提高配额。",
	},
	{
		class: ClassTransient, code: codeServerError,
		api:    []string{"Internal.System.Error", "InternalError"},
		hint:   "Retry later; if it persists, give the request id to Alibaba Cloud support.",
		hintZH: "请稍后重试；如果持续出现，请把请求 ID 提供给阿里云技术支持。",
	},
	{
		class: ClassTransient, code: codeServiceUnavailable,
		api:    []string{"ServiceUnavailable"},
		hint:   "Retry later; Quick BI is temporarily unavailable.",
		hintZH: "Quick BI 暂时不可用，请稍后重试。",
	},
	{
		class: ClassTransient, code: "nonce_reused",
		api:    []string{"SignatureNonceUsed"},
		hint:   "Retry; if it persists, look for a proxy that sends requests twice.",
		hintZH: "请重试；如果持续出现，请检查是否有代理重复发送请求。",
	},
	{
		class: ClassTransient, code: codeUnreachable,
		hint:   "Check name resolution, firewall and proxy between this machine and the Quick BI endpoint, then retry.",
		hintZH: "请检查本机到 Quick BI 接入地址的域名解析、防火墙和代理，然后重试。",
	},
	{
		class: ClassUnknownOutcome, code: codeOutcomeUnknown,
		hint:   "Retry: the answer was lost, so the change may or may not have been made.",
		hintZH: "请重试：响应已丢失，无法确定变更是否已生效。",
	},
}

// aboutTheRest fails closed.
var aboutTheRest = []entry{
	{
		class: ClassUnrecognised, code: codeUnrecognised,
		hint:   "Look up the API code and message in the Quick BI documentation, or give the request id to Alibaba Cloud support.",
		hintZH: "请在 Quick BI 文档中查找该错误码和返回信息，或把请求 ID 提供给阿里云技术支持。",
	},
	{
		class: ClassUnrecognised, code: codeRefused,
		hint:   "Read the message of Quick BI beside it; it names no reason that this program knows.",
		hintZH: "请查看一旁的 Quick BI 返回信息；其中没有本程序已知的原因。",
	},
}
