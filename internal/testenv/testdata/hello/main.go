// Command hello is what the tests of testenv build.
package main

import "fmt"

func main() { fmt.Println("hello") }
