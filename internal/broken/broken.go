// Package broken names the protections that a build can leave out, so that the
// chaos suite can be seen to miss them. Every constant is false unless the
// program was built with its tag, and no release is built with one: the code
// behind a constant that is false is not part of the program.
package broken
