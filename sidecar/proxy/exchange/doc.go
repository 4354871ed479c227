// Package exchange is one request and its answer, whatever versions of HTTP its two ends speak: it is judged, its head is
// edited, its body goes to the app, the answer comes back, and it ends. Everything of it belongs to one loop.
//
//	client end -> Begin -> gate -> App.Head, App.Data, App.Finish
//	app end    -> Answer -> Client.Head, Client.Data, Client.Finish
//
// The ends speak to it in the same few words, and it to them: a head, data, the end, an abort, and "go on" where somebody had too
// much to do. Which protocol an end speaks is its own business.
package exchange
