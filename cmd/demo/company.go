//go:build unix

package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/usher-bi/usher/internal/access"
)

// department is where people work, how many they are, and what they use there
// beside what everybody uses.
type department struct {
	name  string
	size  int
	needs []asset
}

// asset is something of Quick BI by the name that people have for it.
type asset struct {
	kind access.ResourceType
	name string
}

const (
	qa      = access.QAResource
	theme   = access.QATheme
	dataset = access.Dataset
)

var everybody = []asset{{qa, "company figures"}, {theme, "glossary"}, {dataset, "exchange rates"}}

// departments overlap in what they need: several use orders, customers, stock,
// spend and quality.
var departments = []department{
	{"Sales", 70, []asset{{qa, "orders"}, {qa, "customers"}, {qa, "pipeline"}, {theme, "sales regions"}, {dataset, "crm export"}}},
	{"Marketing", 43, []asset{{qa, "customers"}, {qa, "campaigns"}, {theme, "web traffic"}, {dataset, "survey answers"}}},
	{"Customer Service", 46, []asset{{qa, "customers"}, {qa, "tickets"}, {theme, "returns"}, {dataset, "call log"}}},
	{"Finance", 39, []asset{{qa, "ledger"}, {qa, "spend"}, {qa, "orders"}, {theme, "cash flow"}, {dataset, "bank statements"}, {dataset, "invoices"}}},
	{"Procurement", 30, []asset{{qa, "spend"}, {qa, "suppliers"}, {qa, "stock"}, {dataset, "invoices"}}},
	{"Logistics", 51, []asset{{qa, "stock"}, {qa, "shipments"}, {qa, "orders"}, {theme, "routes"}, {dataset, "scanner events"}}},
	{"Production", 66, []asset{{qa, "stock"}, {qa, "machines"}, {qa, "quality"}, {theme, "shifts"}, {dataset, "sensor readings"}}},
	{"Human Resources", 18, []asset{{qa, "head count"}, {theme, "absence"}, {dataset, "payroll"}}},
	{"Research", 20, []asset{{qa, "quality"}, {qa, "experiments"}, {theme, "patents"}, {dataset, "sensor readings"}, {dataset, "lab results"}}},
}

// project takes people of all departments, to a last day of its own.
type project struct {
	needs   asset
	members int
	days    int
}

var projects = []project{
	{asset{theme, "new warehouse"}, 34, 75},
	{asset{theme, "web shop"}, 29, 120},
	{asset{qa, "price review"}, 25, 60},
	{asset{dataset, "audit sample"}, 21, 45},
	{asset{qa, "carbon report"}, 27, 200},
	{asset{theme, "new bookkeeping"}, 38, 150},
}

var (
	deleted = asset{qa, "price list 2024"} // asked for, but no longer there
	archive = asset{qa, "archive"}         // some have it, and nobody asks about it
)

// person works in a department until a day.
type person struct {
	id         string
	department int
	until      access.Date
}

// hire makes up the people of all departments. One in nine is on a contract
// that ends sooner than the access of the department is reviewed.
func hire(today access.Date, random *rand.Rand) []person {
	var people []person
	for number, d := range departments {
		for range d.size {
			days := []int{180, 270, 365}[number%3]
			if random.IntN(9) == 0 {
				days = []int{45, 75, 100}[random.IntN(3)]
			}
			id := digest(fmt.Sprintf("person %d", len(people)))
			people = append(people, person{id: id, department: number, until: today.AddDays(days)})
		}
	}
	return people
}

// needsOf is what the people of a department use.
func needsOf(number int) []asset { return slices.Concat(everybody, departments[number].needs) }

// assets lists everything that exists, without repeats.
func assets() []asset {
	all := append(slices.Clone(everybody), archive)
	for _, d := range departments {
		all = append(all, d.needs...)
	}
	for _, p := range projects {
		all = append(all, p.needs)
	}
	slices.SortFunc(all, func(a, b asset) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name)) })
	return slices.Compact(all)
}

// resource is a as Quick BI knows it.
func (a asset) resource() access.Resource { return access.Resource{Type: a.kind, ID: digest(a.name)} }

// behind is the id of the Q&A resource that a dataset is granted as.
func (a asset) behind() string { return digest("behind " + a.name) }

// digest makes an id of the shape that Quick BI gives.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
