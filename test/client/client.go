package client //nolint:revive // the generated file says what it is

// Tests use this client, to show that others can have one of the description.

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config config.yaml ../../internal/serve/openapi.json
