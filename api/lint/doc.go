// Package lint finds what is valid in a policy but can never do what it seems to say: a regular expression in a path, a
// wildcard in a value that is compared as text, a rule that another one makes useless.
//
// Its findings are warnings: the webhook prints them when a policy is applied, `bearerguard check` beside its verdict, `bearerguard lint`, and a
// standalone sidecar into its log. It takes values and returns values.
package lint
