package intake

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/usher-bi/usher/internal/access"
)

// Column describes a column of the input: what a template offers and the
// documentation lists.
type Column struct {
	Word

	Required bool   // no row means anything without it
	ID       bool   // holds ids, which must keep every character
	Values   []Word // what it may hold; nil where that is anything
}

// Word is a name with its other spellings. All of them mean the same in any
// case.
type Word struct {
	Name    string
	Aliases []string // in the order in which they are listed
}

// Chinese returns the Chinese spelling that comes first, or the name where it
// has none.
func (w Word) Chinese() string {
	for _, alias := range w.Aliases {
		if strings.ContainsFunc(alias, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			return alias
		}
	}
	return w.Name
}

// Columns lists the columns that mean something, in their usual order.
func Columns() []Column {
	out := slices.Clone(vocabulary[:])
	for i := range out {
		c := column(i)
		out[i].Required = slices.Contains(required, c)
		out[i].ID = isID(c)
	}
	return out
}

// isID reports whether a number is no way to write what stands in c.
func isID(c column) bool { return c == colRowID || c == colPrincipal || c == colResourceID }

// word is short for a Word.
func word[T ~string](name T, aliases ...string) Word {
	return Word{Name: string(name), Aliases: aliases}
}

// vocabulary is the one place of every name and spelling, by column. A bare
// 数据集 is in it nowhere, because it may mean a dataset of Smart Q as well as
// a cube.
var vocabulary = [numColumns]Column{
	colRowID: {Word: word(columnNames[colRowID], "行号", "序号")},
	colAction: {Word: word(columnNames[colAction], "操作", "操作类型"), Values: []Word{
		word(access.Grant, "授权", "授予", "开通", "新增"),
		word(access.Revoke, "撤销", "撤销授权", "取消", "取消授权", "回收", "收回", "移除"),
	}},
	colPrincipal: {Word: word(columnNames[colPrincipal], "user_id", "用户", "用户ID", "工号")},
	colPrincipalType: {Word: word(columnNames[colPrincipalType], "用户类型", "主体类型"), Values: []Word{
		word(access.User, "用户"),
		word(access.Group, "用户组"),
		word(access.Organization, "组织"),
		word(access.Workspace, "工作空间", "空间"),
	}},
	colResourceType: {Word: word(columnNames[colResourceType], "资源类型"), Values: []Word{
		word(access.QAResource, "问数资源"),
		word(access.QATheme, "问数主题"),
		word(access.Dataset, "问数数据集"),
		word(access.Dashboard, "仪表板"),
		word(access.Report, "电子表格"),
		word(access.OfflineQuery, "自助取数"),
		word(access.Cube),
		word(access.Datasource, "数据源"),
		word(access.Screen, "数据大屏"),
		word(access.Analysis, "即席分析"),
		word(access.DataForm, "数据填报"),
		word(access.Share, "分享"),
		word(access.Membership, "工作空间", "空间"),
	}},
	colResourceID: {Word: word(columnNames[colResourceID], "资源", "资源ID")},
	colRole: {Word: word(columnNames[colRole], "角色", "权限"), Values: []Word{
		word(access.RoleView, "查看"),
		word(access.RoleViewExport, "查看和导出", "查看导出"),
		word(access.RoleEdit, "编辑"),
		word(access.RoleAdmin, "空间管理员"),
		word(access.RoleDeveloper, "空间开发者"),
		word(access.RoleAnalyst, "空间分析师"),
		word(access.RoleViewer, "空间查看者"),
	}},
	colExpiresOn: {Word: word(columnNames[colExpiresOn], "到期日", "到期日期", "有效期至")},
	colReason:    {Word: word(columnNames[colReason], "原因", "申请原因")},
	colTicket:    {Word: word(columnNames[colTicket], "工单", "工单号")},
}

// columnsByName finds a column by any of its names, as nameKey writes them.
var columnsByName = func() map[string]column {
	byName := map[string]column{}
	for i, c := range vocabulary {
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			byName[nameKey(name)] = column(i)
		}
	}
	return byName
}()

// valuesByAlias finds what another spelling of a value means, by column.
var valuesByAlias = func() (byAlias [numColumns]map[string]string) {
	for i, c := range vocabulary {
		byAlias[i] = map[string]string{}
		for _, value := range c.Values {
			for _, alias := range value.Aliases {
				byAlias[i][alias] = value.Name
			}
		}
	}
	return byAlias
}()

// nameKey is what names of columns are compared by: neither case nor width,
// spaces, dashes and underscores count, nor the star of a required field.
func nameKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("_-*\ufeff\u200b", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, width.Fold.String(name))
}

// columnOf returns the column that name means. A name in a file may be in any
// spelling that the vocabulary lists.
func columnOf(name string) (column, bool) {
	c, ok := columnsByName[nameKey(name)]
	return c, ok
}

// meaning returns the name of the value of column c that cell is another
// spelling of, or cell itself.
func meaning(c column, cell string) string {
	cell = strings.TrimSpace(cell)
	if cell == "" || cell[0] < 0x80 {
		return cell
	}
	if name, ok := valuesByAlias[c][cell]; ok {
		return name
	}
	return cell
}
