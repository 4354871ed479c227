// Package suggest makes rules of what an Audit policy would have refused: lines of the decision log -> the least rules that let in what was
// seen. It is pure.
package suggest
