package main

import (
	"strings"

	"github.com/usher-bi/usher/internal/intake"
)

// columnNote explains a column in both languages.
type columnNote struct{ en, zh string }

var columnNotes = map[string]columnNote{
	"row_id":         {"your own id of the row, unique in the file; comes back in the results", "行的自定义编号，文件内唯一，结果中原样返回"},
	"action":         {"what to do", "要做的操作"},
	"principal":      {"the Quick BI id of who gets or loses access; not an Alibaba Cloud UID", "被授权对象的 Quick BI ID，不是阿里云 UID"},
	"principal_type": {"what that id is of; user where it is empty", "对象类型，留空表示用户"},
	"resource_type":  {"what access is given to", "资源类型"},
	"resource_id":    {"the id of the resource", "资源的 ID"},
	"role":           {"of works: view, view_export or edit; of a share: view or view_export; of a workspace: admin, developer, analyst, viewer or a role of its own; else empty", "作品：查看、查看和导出、编辑；分享：查看、查看和导出；工作空间：预置角色或自定义角色；其他留空"},
	"expires_on":     {"last day of a grant, YYYY-MM-DD; empty for a revoke, for edit and for a workspace", "授权的最后一天，YYYY-MM-DD；撤销、编辑权限和工作空间留空"},
	"reason":         {"kept for the audit", "留作审计"},
	"ticket":         {"kept for the audit", "留作审计"},
}

// notes returns the rows of the sheet that explains the columns.
func (t template) notes() [][]string {
	head, yes := []string{"column", "required", "values", "meaning"}, "yes"
	if t.lang == chinese {
		head, yes = []string{"列", "必填", "可选值", "说明"}, "是"
	}
	columns := intake.Columns()
	rows := append(make([][]string, 0, len(columns)+1), head)
	for _, c := range columns {
		required, meaning := "", columnNotes[c.Name].en
		if c.Required {
			required = yes
		}
		if t.lang == chinese {
			meaning = columnNotes[c.Name].zh
		}
		var values []string
		for _, value := range c.Values {
			values = append(values, t.word(value))
		}
		rows = append(rows, []string{t.word(c.Word), required, strings.Join(values, "\n"), meaning})
	}
	return rows
}
