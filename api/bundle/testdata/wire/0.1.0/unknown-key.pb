"&
"url:https://login.example.com/jwks