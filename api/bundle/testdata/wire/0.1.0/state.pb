*[
H
"url:https://login.example.com/jwks ê?®FTLS 