// Package manifest reads the YAML files of standalone mode: AuthPolicy, TokenRevocation, Secret and ConfigMap objects as
// kubectl would take them, strictly. It does no I/O: files come as bytes, objects go as values.
//
// Each mistake is an *Error with the file, the line, the field's path and what is wanted. Place finds the line of a field
// afterwards, for mistakes that only the compiler of policies sees.
package manifest
