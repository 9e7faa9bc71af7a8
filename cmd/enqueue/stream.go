package main

import (
	"bufio"
	"encoding/json"
)

// object prints the one JSON document of a command piece by piece, so that
// lists of any length take no memory.
type object struct {
	out   *bufio.Writer
	enc   *json.Encoder
	comma string
}

func (a *app) newObject() *object {
	out := bufio.NewWriter(a.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &object{out: out, enc: enc, comma: "{"}
}

// field adds one member. Errors of the output show at the end.
func (o *object) field(name string, value any) error {
	o.open(name)
	return o.enc.Encode(value)
}

func (o *object) open(name string) {
	_, _ = o.out.WriteString(o.comma + `"` + name + `":`) // out remembers its error
	o.comma = ","
}

// list adds a member that is a list of what each adds, and closes it also when
// each breaks off.
func (o *object) list(name string, each func(add func(any) error) error) error {
	o.open(name)
	before := "["
	err := each(func(item any) error {
		_, _ = o.out.WriteString(before) // out remembers its error
		before = ","
		return o.enc.Encode(item)
	})
	if before == "[" {
		_, _ = o.out.WriteString(before)
	}
	_, _ = o.out.WriteString("]")
	return err
}

// end closes the document. One that cause cut short says so under "error".
func (o *object) end(cause error) error {
	exit := exitOK
	if cause != nil {
		f := faultOf(cause)
		exit = f.exit
		if err := o.field("error", f); err != nil {
			return err
		}
	}
	_, _ = o.out.WriteString("}\n") // out remembers its error
	if err := o.out.Flush(); err != nil {
		return err
	}
	if exit != exitOK {
		return settled{exit}
	}
	return nil
}
