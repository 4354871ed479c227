# convert: --selector app=web
/bin/oauth2-proxy --provider=keycloak-oidc \
  --oidc-issuer-url https://login.example.com/realms/shop --client-id=web --oidc-extra-audience=account \
  --skip-jwt-bearer-tokens --email-domain='*' --allowed-role=admin --allowed-role=web:editor --allowed-group=/shop/staff \
  --extra-jwt-issuers="https://ci.example.net=web" --ping-path=/-/ping \
  --upstream=http://localhost:3000 --set-xauthrequest --cookie-secure=false
