// Package client is a client of the HTTP intake that a public generator makes of
// its description. Tests use it, to show that others can.
package client

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config config.yaml ../../internal/serve/openapi.json
