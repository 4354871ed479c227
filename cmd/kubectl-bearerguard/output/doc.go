// Package output is how commands show what they have: as text for people, as a table, as a tree, or as JSON or YAML for
// programs. Text goes by a Look: colours and box-drawing characters where the reader's screen has them, and lines no wider
// than it is.
//
// What comes from elsewhere (a cluster, a token, a file) may be given to every function as it is: characters that do not
// show, terminal escapes among them, are escaped.
package output
