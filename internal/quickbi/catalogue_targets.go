package quickbi

// aboutPrincipals are the refusals for the sake of a user or group, alone or
// together with what is asked for it.
var aboutPrincipals = []entry{
	{
		class: ClassUserGone, code: codeUserGone,
		api:      []string{"Invalid.User.Organization", "User.NotBelongTo.CurrentOrganization"},
		orCaller: []string{"User.Not.In.Organization"},
		hint:     "Add the user to the Quick BI organization first, or remove the row if the user has left; if every user gets this, the owner of the AccessKey is not in the organization.",
		hintZH:   "请先把该用户加入 Quick BI 组织；如果用户已离职，请删除这一行；如果所有用户都如此，说明 AccessKey 的所有者不在组织中。",
	},
	{
		class: ClassUser, code: codeUserNotExist,
		api:      []string{"Invalid.User"},
		orCaller: []string{"ApiUser.Not.Exists"},
		hint:     "Check that the id is the Quick BI user id, not the Alibaba Cloud UID; if every user gets this, the owner of the AccessKey is not in the organization.",
		hintZH:   "请确认填写的是 Quick BI 用户 ID，而不是阿里云 UID；如果所有用户都如此，说明 AccessKey 的所有者不在组织中。",
	},
	{
		class: ClassUser, code: "user_info_invalid",
		orCaller: []string{"UserInfo.Error"},
		hint:     "Have an administrator check this user's profile in Quick BI; if every user gets this, check that of the owner of the AccessKey.",
		hintZH:   "请管理员在 Quick BI 中检查该用户的个人信息；如果所有用户都如此，请检查 AccessKey 所有者的个人信息。",
	},
	{
		class: ClassUser, code: codeUserLacksFunction,
		orCaller: []string{"UserRoleConfig.NotContain.Function"},
		hint:     "Give the user a role or a seat that includes Smart Q; if every user gets this, the owner of the AccessKey lacks it.",
		hintZH:   "请为该用户分配包含智能小Q的角色或席位；如果所有用户都如此，说明 AccessKey 的所有者缺少该权限。",
	},
	{
		class: ClassUser, code: "group_not_exist",
		api:    []string{"Usergroup.Not.Exist", "UserGroup.NotIn.Organization", "Usergroup.NotBelongTo.CurrentOrganization"},
		hint:   "Check the id of the user group in Quick BI; the group may have been deleted or be of another organization.",
		hintZH: "请在 Quick BI 中核对用户组 ID；该用户组可能已被删除，或属于其他组织。",
	},
	{
		class: ClassSatisfied, code: codeUserHasRole,
		api:    []string{"User.AlreadyIn.Role"},
		hint:   "Nothing: the user has exactly this role in the workspace already.",
		hintZH: "无需处理：该用户在空间中已拥有该角色。",
	},
	{
		class: ClassMember, code: codeUserInWorkspace,
		api:    []string{"User.AlreadyIn.Workspace", "AE0150010001"},
		hint:   "The user is a member of the workspace already; change the role there if it is not the wanted one.",
		hintZH: "该用户已是空间成员；如果现有角色不符合要求，请修改其空间角色。",
	},
	{
		class: ClassNotMember, code: codeUserNotInWorkspace,
		api:    []string{"User.NotIn.Workspace", "AE0150010004"},
		hint:   "Add the user to the workspace first, or remove the row.",
		hintZH: "请先把该用户加入空间，或删除这一行。",
	},
	{
		class: ClassUser, code: codeViewerNotAllowed,
		api:    []string{"Viewer.AddInTo.Workspace"},
		hint:   "Viewers of the organization cannot be members of this workspace; give the user another user type first.",
		hintZH: "组织中的阅览者不能加入该空间；请先更改该用户的用户类型。",
	},
	{
		class: ClassUser, code: codeViewerCustomRole,
		api:    []string{"Viewer.CannotHave.CustomRole"},
		hint:   "Give this user a preset role, or another user type first: viewers cannot have custom roles.",
		hintZH: "组织中的阅览者不能拥有自定义角色；请改用预置角色，或先更改该用户的用户类型。",
	},
	{
		class: ClassUser, code: codeAnalystRole,
		api:    []string{"AnalystUser.NotSupport.AdminOrDevRole", "UserAnalyst.NotSupport.ThisRole"},
		hint:   "Choose the analyst or viewer role, or another user type first: analysts cannot have this role.",
		hintZH: "分析者不能拥有该角色；请改用分析者或阅览者角色，或先更改该用户的用户类型。",
	},
	{
		class: ClassPair, code: "user_owns_workspace",
		api:    []string{"CanNot.Remove.WorkspaceOwner"},
		hint:   "Make somebody else the owner of the workspace in Quick BI, then submit the row again.",
		hintZH: "该用户是空间所有者；请先在 Quick BI 中把空间转交给他人，再重新提交这一行。",
	},
	{
		class: ClassPair, code: "access_through_workspace",
		api:    []string{"DeletePermission.ExistWorkspaceRecord.Error"},
		hint:   "The work is authorised to all members of its workspace; change that, or remove the user from the workspace.",
		hintZH: "该作品已授权给全部空间成员；请调整该授权，或把用户移出空间。",
	},
	{
		class: ClassPair, code: "access_through_group",
		api:    []string{"DeletePermission.UserBelongsToUsergroup.Error"},
		hint:   "The user has the work through a user group, which the message names; take the user out of the group, or the work from the group.",
		hintZH: "该用户通过用户组获得作品权限，用户组见返回信息；请把用户移出该用户组，或取消对该用户组的授权。",
	},
	{
		class: ClassPair, code: codeRevokeRefused,
		hint:   "Quick BI does not let this authorization be deleted; read its message, and look at the permissions of the work.",
		hintZH: "Quick BI 不允许删除该授权；请查看返回信息，并检查作品的权限设置。",
	},
}

// aboutResources are the refusals for the sake of a work, a resource or a workspace.
var aboutResources = []entry{
	{
		class: ClassResource, code: codeResourceNotExist,
		api:    []string{"Application.Object.NotExist"},
		hint:   "Check the resource id and type in Quick BI; the resource may have been deleted, or Q&A is not switched on for the dataset.",
		hintZH: "请在 Quick BI 中核对资源 ID 和类型；资源可能已被删除，或数据集未开启问数。",
	},
	{
		class: ClassWorkGone, code: "work_not_exist",
		api:    []string{"Work.Not.Exist", "Report.NotExist.Error", "Cube.Not.Exist", "Datasource.NotFound.Error"},
		hint:   "Check the id and the type of the work in Quick BI; it may have been deleted.",
		hintZH: "请在 Quick BI 中核对作品 ID 和类型；作品可能已被删除。",
	},
	{
		class: ClassResource, code: "menu_not_authorizable",
		api:    []string{"AccessMenu.NotMatch.Portal", "Menu.NotBelongTo.CurrentDataportal", "FolderMenu.CanNot.Authorize"},
		hint:   "Check that the menu belongs to the portal and is not a folder.",
		hintZH: "请确认菜单属于该数据门户，且不是目录。",
	},
	{
		class: ClassResource, code: "query_not_permitted",
		orCaller: []string{"Query.Auth.Error"},
		hint:     "Give the owner of the AccessKey rights on this resource, then submit the row again.",
		hintZH:   "请为 AccessKey 的所有者授予该资源的权限，再重新提交这一行。",
	},
	{
		class: ClassResource, code: "workspace_not_exist",
		api:    []string{"Workspace.Not.Exist", "Workspace.NotIn.Organization"},
		hint:   "Check the id of the workspace in Quick BI; it may have been deleted or be of another organization.",
		hintZH: "请在 Quick BI 中核对空间 ID；空间可能已被删除，或属于其他组织。",
	},
	{
		class: ClassResource, code: "workspace_type_invalid",
		api:    []string{"Workspace.Type.Error"},
		hint:   "Use a group workspace; this one is of a type that does not allow it.",
		hintZH: "请使用群空间；该空间的类型不支持此操作。",
	},
	{
		class: ClassResource, code: "sharing_forbidden",
		api:    []string{"Workspace.Share.Forbidden"},
		hint:   "Have an administrator of the workspace allow sharing there, then submit the row again.",
		hintZH: "该空间已禁止分享；请空间管理员开启分享，再重新提交这一行。",
	},
	{
		class: ClassResource, code: "outside_sharing_forbidden",
		api:    []string{"Workspace.OutsideShare.Forbidden"},
		hint:   "Share with somebody of the same organization, or have an administrator of the workspace allow sharing outside it.",
		hintZH: "该空间已禁止组织外分享；请分享给本组织成员，或请空间管理员开启组织外分享。",
	},
	{
		class: ClassResource, code: "caller_not_workspace_admin",
		api:    []string{"User.Not.WorkspaceAdmin"},
		hint:   "Make the owner of the AccessKey an administrator of the workspace that holds the resource.",
		hintZH: "请把 AccessKey 的所有者设为该资源所在空间的管理员。",
	},
}
