package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// audited is a table whose rows the seals cover.
type audited struct {
	name    string
	no      string // the column with the number of audit_no
	month   string // of a row
	columns string // all, in a form that no setting of the session changes
}

// What a row is hashed as is the text of a JSON array of its columns: JSON has
// one way to write a time without a zone, a number and a text. The text of a row
// that was sealed never changes. A column that a later migration adds is null in
// such rows, and joins the array only where it is not null.
var auditedTables = []audited{
	{"answers", "no", jobMonth, `no, job_id, call_id, class, http_status, api_code, message, request_id, result,
		extract(epoch FROM took), answered_at AT TIME ZONE 'UTC'`},
	{"audit", "id", `month_of(at)`, `id, at AT TIME ZONE 'UTC', actor, event, job_id, task_no, detail`},
	{"calls", "id", jobMonth, `id, job_id, task_no, generation, action, cells, worker, sent_at AT TIME ZONE 'UTC'`},
	{"exceptions", "no", jobMonth, `no, job_id, change_no, task_no, status, code, message, retryable, api_code, request_id,
		recorded_at AT TIME ZONE 'UTC'`},
	{"settlements", "no", jobMonth, `no, job_id, change_no, status, code, message, retryable, read_job_id, at AT TIME ZONE 'UTC'`},
}

// jobMonth is the month in which a row's job was accepted; 0 stands for all
// months before numbers carried one.
const jobMonth = `(job_id >> 36)::integer`

// span is a range of audit numbers, without after and with upto.
type span struct{ after, upto int64 }

// auditedRow is one row of an audited table.
type auditedRow struct {
	no    int64
	month month
	text  []byte // valid until the next row
}

// rows calls yield for each row of t in s, in the order of their numbers.
func (t audited) rows(ctx context.Context, q queryer, s span, yield func(auditedRow) error) error {
	if s.after == 0 {
		s.after = math.MinInt64 // no row hides below the first number
	}
	rows, err := q.Query(ctx, fmt.Sprintf(`
SELECT %[2]s, coalesce(%[3]s, 0), jsonb_build_array(%[4]s)::text COLLATE "C" FROM %[1]s WHERE %[2]s > $1 AND %[2]s <= $2 ORDER BY 1, 3`,
		t.name, t.no, t.month, t.columns), s.after, s.upto)
	if err != nil {
		return err
	}
	defer rows.Close()
	var r auditedRow
	for rows.Next() {
		if err := rows.Scan(&r.no, &r.month, nil); err != nil {
			return err
		}
		r.text = rows.RawValues()[2]
		if err := yield(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// queryer is a pool or a transaction.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// month counts the months of the calendar, in UTC: year*12 + month - 1.
type month int

func (m month) String() string { return fmt.Sprintf("%04d-%02d", int(m)/12, int(m)%12+1) }

func parseMonth(s string) (month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a month; write YYYY-MM", s)
	}
	return month(t.Year()*12 + int(t.Month()) - 1), nil
}

// entry says what a seal covers of one table and month. Its JSON is hashed and
// never changes.
type entry struct {
	Table  string `json:"table"`
	Month  string `json:"month"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // over each row's text and a line feed
}

// tallies hashes rows by table and month.
type tallies map[[2]string]*tally

type tally struct {
	rows int64
	hash hash.Hash
}

func (t tallies) add(table string, r auditedRow) {
	key := [2]string{table, r.month.String()}
	if t[key] == nil {
		t[key] = &tally{hash: sha256.New()}
	}
	t[key].rows++
	_, _ = t[key].hash.Write(r.text) // a hash never fails
	_, _ = t[key].hash.Write([]byte{'\n'})
}

// entries lists what was added, by table and month.
func (t tallies) entries() []entry {
	out := make([]entry, 0, len(t))
	for key, tally := range t {
		out = append(out, entry{Table: key[0], Month: key[1], Rows: tally.rows, SHA256: hexSum(tally.hash)})
	}
	slices.SortFunc(out, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(a.Month, b.Month))
	})
	return out
}
