// Command app is every container of test.sh: a server, a sidecar in front of it, and a client to run inside a pod.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return http.ListenAndServe(args[1], http.HandlerFunc(hello))
	case len(args) == 3 && args[0] == "sidecar":
		return sidecar(args[1], args[2])
	case len(args) == 2 && args[0] == "get":
		return get(args[1])
	case len(args) == 2 && args[0] == "cat":
		b, err := os.ReadFile(args[1])
		fmt.Printf("%s", b)
		return err
	case len(args) == 2 && args[0] == "say":
		fmt.Println(args[1])
		return nil
	}
	return fmt.Errorf("usage: app serve ADDRESS | sidecar ADDRESS UPSTREAM | get URL | cat FILE | say TEXT")
}

func hello(w http.ResponseWriter, r *http.Request) {
	name, _ := os.Hostname()
	fmt.Fprintf(w, "pod=%s via=%q\n", name, r.Header.Get("Via"))
}

func sidecar(address, upstream string) error {
	to, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	rewrite := func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Header.Set("Via", "1.1 sidecar")
	}
	return http.ListenAndServe(address, &httputil.ReverseProxy{Rewrite: rewrite})
}

// get fetches as the pod's service account and trusts the cluster's CA.
func get(address string) error {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if ca, err := os.ReadFile(account + "ca.crt"); err == nil {
		roots.AppendCertsFromPEM(ca)
	}
	if token, err := os.ReadFile(account + "token"); err == nil && req.URL.Scheme == "https" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
