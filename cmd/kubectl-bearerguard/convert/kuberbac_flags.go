package convert

const (
	whyServing = "is about how the proxy listens; the sidecar has its own ports, and takes its certificate by the annotations of the pod"
	whyTuning  = "is about how the proxy runs, not about who is let in"
	whyAddress = "is where the app listens; the sidecar reaches it where the client dialled it, or see the annotations of the pod"
)

// kubeRBACFlags are the flags of kube-rbac-proxy 0.20 and before.
var kubeRBACFlags = map[string]flagInfo{
	"upstream":                           {effect: Differs, why: whyAddress},
	"config-file":                        {},
	"allow-paths":                        {kind: listFlag},
	"ignore-paths":                       {kind: listFlag},
	"auth-token-audiences":               {kind: listFlag},
	"auth-header-fields-enabled":         {kind: boolFlag},
	"auth-header-user-field-name":        {},
	"auth-header-groups-field-name":      {},
	"auth-header-groups-field-separator": {},
	"oidc-issuer":                        {},
	"oidc-clientID":                      {},
	"oidc-username-claim":                {},
	"oidc-groups-claim":                  {},
	"oidc-username-prefix":               {},
	"oidc-groups-prefix":                 {},
	"oidc-sign-alg":                      {kind: arrayFlag},
	"oidc-ca-file":                       {},
	"client-ca-file":                     {effect: LeftOut, why: "lets in clients by their certificate; here a token is needed. With TLS at the sidecar a certificate is a condition beside it: request.tls.san in when"},
	"upstream-force-h2c":                 {kind: boolFlag, effect: Differs, why: "is how the app is spoken to; see the sidecar's annotations for HTTP/2"},
	"upstream-ca-file":                   {effect: Differs, why: whyAddress},
	"upstream-client-cert-file":          {effect: Differs, why: whyAddress},
	"upstream-client-key-file":           {effect: Differs, why: whyAddress},
	"proxy-endpoints-port":               {effect: Differs, why: whyServing},
	"insecure-listen-address":            {effect: Differs, why: whyServing},
	"secure-listen-address":              {effect: Differs, why: whyServing},
	"tls-cert-file":                      {effect: Differs, why: whyServing},
	"tls-private-key-file":               {effect: Differs, why: whyServing},
	"tls-min-version":                    {effect: Differs, why: whyServing},
	"tls-cipher-suites":                  {kind: listFlag, effect: Differs, why: whyServing},
	"tls-reload-interval":                {effect: Differs, why: whyServing},
	"kubeconfig":                         {effect: Differs, why: "is not needed: no API server is asked about requests"},
	"kube-api-qps":                       {effect: Differs, why: whyTuning},
	"kube-api-burst":                     {effect: Differs, why: whyTuning},
	"http2-disable":                      {kind: boolFlag, effect: Differs, why: whyServing},
	"http2-max-concurrent-streams":       {effect: Differs, why: whyServing},
	"http2-max-size":                     {effect: Differs, why: whyServing},
	"v":                                  {effect: Differs, why: whyTuning},
	"vmodule":                            {effect: Differs, why: whyTuning},
	"logtostderr":                        {kind: boolFlag, effect: Differs, why: whyTuning},
	"alsologtostderr":                    {kind: boolFlag, effect: Differs, why: whyTuning},
	"stderrthreshold":                    {effect: Differs, why: whyTuning},
	"log-dir":                            {effect: Differs, why: whyTuning},
	"log-file":                           {effect: Differs, why: whyTuning},
	"add-dir-header":                     {kind: boolFlag, effect: Differs, why: whyTuning},
	"skip-headers":                       {kind: boolFlag, effect: Differs, why: whyTuning},
	"one-output":                         {kind: boolFlag, effect: Differs, why: whyTuning},
}
