# convert: --selector app=api
kube-rbac-proxy --upstream=http://127.0.0.1:8080/internal --oidc-issuer=https://login.example.com --oidc-clientID=api --oidc-groups-claim=groups \
  --oidc-username-claim=email --oidc-sign-alg=RS256 --oidc-sign-alg=ES256 --oidc-ca-file=/etc/ca.crt --allow-paths=/metrics,/api/* \
  --auth-header-fields-enabled --auth-header-groups-field-separator=,
