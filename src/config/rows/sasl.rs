//! Rows of SASL: while there is none, those that ask for it are refused and those that only tune
//! it mean nothing.

use super::reasons::SASL;
use crate::row::broker_rows;
use crate::value::{Class, List, Password, Text};

broker_rows! {
    /// Java class that supplies credentials for outgoing logins.
    SASL_CLIENT_CALLBACK_HANDLER_CLASS: Option<Class> = key("sasl.client.callback.handler.class")
        .refused("SASL", &[]);
    /// SASL mechanisms that clients may use.
    SASL_ENABLED_MECHANISMS: List = key("sasl.enabled.mechanisms")
        .default("GSSAPI").per_broker().refused("SASL", &[]);
    /// JAAS login entry.
    SASL_JAAS_CONFIG: Option<Password> = key("sasl.jaas.config").per_broker().refused("SASL", &[]);
    /// Path of kinit.
    SASL_KERBEROS_KINIT_CMD: Text = key("sasl.kerberos.kinit.cmd")
        .default("/usr/bin/kinit").per_broker().no_meaning(SASL);
    /// Milliseconds between two Kerberos logins, at least.
    SASL_KERBEROS_MIN_TIME_BEFORE_RELOGIN: i64 = key("sasl.kerberos.min.time.before.relogin")
        .default("60000").per_broker().no_meaning(SASL);
    /// Rules that map Kerberos principals to user names.
    SASL_KERBEROS_PRINCIPAL_TO_LOCAL_RULES: List = key("sasl.kerberos.principal.to.local.rules")
        .default("DEFAULT").per_broker().refused("SASL", &[]);
    /// Kerberos principal under which brokers run.
    SASL_KERBEROS_SERVICE_NAME: Option<Text> = key("sasl.kerberos.service.name")
        .per_broker().refused("SASL", &[]);
    /// Random share of the Kerberos renewal time.
    SASL_KERBEROS_TICKET_RENEW_JITTER: f64 = key("sasl.kerberos.ticket.renew.jitter")
        .default("0.05").per_broker().no_meaning(SASL);
    /// Share of a Kerberos ticket's life after which it is renewed.
    SASL_KERBEROS_TICKET_RENEW_WINDOW_FACTOR: f64 = key("sasl.kerberos.ticket.renew.window.factor")
        .default("0.8").per_broker().no_meaning(SASL);
    /// Java class that supplies credentials at login.
    SASL_LOGIN_CALLBACK_HANDLER_CLASS: Option<Class> = key("sasl.login.callback.handler.class")
        .refused("SASL", &[]);
    /// Java class that logs in.
    SASL_LOGIN_CLASS: Option<Class> = key("sasl.login.class").refused("SASL", &[]);
    /// Milliseconds to connect to the authentication provider.
    SASL_LOGIN_CONNECT_TIMEOUT_MS: Option<i32> = key("sasl.login.connect.timeout.ms")
        .low().no_meaning(SASL);
    /// Milliseconds to read from the authentication provider.
    SASL_LOGIN_READ_TIMEOUT_MS: Option<i32> = key("sasl.login.read.timeout.ms")
        .low().no_meaning(SASL);
    /// Seconds kept free before a credential expires.
    SASL_LOGIN_REFRESH_BUFFER_SECONDS: i16 = key("sasl.login.refresh.buffer.seconds")
        .default("300").per_broker().no_meaning(SASL);
    /// Least seconds between two credential refreshes.
    SASL_LOGIN_REFRESH_MIN_PERIOD_SECONDS: i16 = key("sasl.login.refresh.min.period.seconds")
        .default("60").per_broker().no_meaning(SASL);
    /// Share of a credential's life after which it is refreshed.
    SASL_LOGIN_REFRESH_WINDOW_FACTOR: f64 = key("sasl.login.refresh.window.factor")
        .default("0.8").per_broker().no_meaning(SASL);
    /// Random share of the credential refresh time.
    SASL_LOGIN_REFRESH_WINDOW_JITTER: f64 = key("sasl.login.refresh.window.jitter")
        .default("0.05").per_broker().no_meaning(SASL);
    /// Longest pause before a login is tried again.
    SASL_LOGIN_RETRY_BACKOFF_MAX_MS: i64 = key("sasl.login.retry.backoff.max.ms")
        .default("10000").low().no_meaning(SASL);
    /// Pause before a login is tried again.
    SASL_LOGIN_RETRY_BACKOFF_MS: i64 = key("sasl.login.retry.backoff.ms")
        .default("100").low().no_meaning(SASL);
    /// SASL mechanism used towards controllers.
    SASL_MECHANISM_CONTROLLER_PROTOCOL: Text = key("sasl.mechanism.controller.protocol")
        .default("GSSAPI").high().refused("SASL", &[]);
    /// SASL mechanism used between brokers.
    SASL_MECHANISM_INTER_BROKER_PROTOCOL: Text = key("sasl.mechanism.inter.broker.protocol")
        .default("GSSAPI").per_broker().refused("SASL", &[]);
    /// Algorithm with which OAuth assertions are signed.
    SASL_OAUTHBEARER_ASSERTION_ALGORITHM: Text = key("sasl.oauthbearer.assertion.algorithm")
        .default("RS256").one_of_ignoring_case(&["ES256", "RS256"]).refused("SASL", &[]);
    /// Audience claim of OAuth assertions.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_AUD: Option<Text> = key("sasl.oauthbearer.assertion.claim.aud")
        .refused("SASL", &[]);
    /// Seconds until an OAuth assertion expires.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_EXP_SECONDS: i32 = key("sasl.oauthbearer.assertion.claim.exp.seconds")
        .default("300").between(0, 86_400).low().no_meaning(SASL);
    /// Issuer claim of OAuth assertions.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_ISS: Option<Text> = key("sasl.oauthbearer.assertion.claim.iss")
        .refused("SASL", &[]);
    /// Whether OAuth assertions carry an id.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_JTI_INCLUDE: bool = key("sasl.oauthbearer.assertion.claim.jti.include")
        .default("false").refused("SASL", &[]);
    /// Seconds by which an OAuth assertion is valid before it is made.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_NBF_SECONDS: i32 = key("sasl.oauthbearer.assertion.claim.nbf.seconds")
        .default("60").between(0, 3600).low().no_meaning(SASL);
    /// Subject claim of OAuth assertions.
    SASL_OAUTHBEARER_ASSERTION_CLAIM_SUB: Option<Text> = key("sasl.oauthbearer.assertion.claim.sub")
        .refused("SASL", &[]);
    /// File with a ready OAuth assertion.
    SASL_OAUTHBEARER_ASSERTION_FILE: Option<Text> = key("sasl.oauthbearer.assertion.file")
        .refused("SASL", &[]);
    /// File with the key that signs OAuth assertions.
    SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE: Option<Text> = key("sasl.oauthbearer.assertion.private.key.file")
        .refused("SASL", &[]);
    /// Passphrase of the key that signs OAuth assertions.
    SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE: Option<Password> = key("sasl.oauthbearer.assertion.private.key.passphrase")
        .refused("SASL", &[]);
    /// File with the fixed part of OAuth assertions.
    SASL_OAUTHBEARER_ASSERTION_TEMPLATE_FILE: Option<Text> = key("sasl.oauthbearer.assertion.template.file")
        .refused("SASL", &[]);
    /// OAuth client id.
    SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID: Option<Text> = key("sasl.oauthbearer.client.credentials.client.id")
        .refused("SASL", &[]);
    /// OAuth client secret.
    SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET: Option<Password> = key("sasl.oauthbearer.client.credentials.client.secret")
        .refused("SASL", &[]);
    /// Seconds by which clocks may differ when a token is checked.
    SASL_OAUTHBEARER_CLOCK_SKEW_SECONDS: i32 = key("sasl.oauthbearer.clock.skew.seconds")
        .default("30").low().no_meaning(SASL);
    /// Audiences that a token may name.
    SASL_OAUTHBEARER_EXPECTED_AUDIENCE: List = key("sasl.oauthbearer.expected.audience")
        .default("").high().refused("SASL", &[]);
    /// Issuer that a token must name.
    SASL_OAUTHBEARER_EXPECTED_ISSUER: Option<Text> = key("sasl.oauthbearer.expected.issuer")
        .high().refused("SASL", &[]);
    /// Milliseconds between two reads of the key set.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_REFRESH_MS: i64 = key("sasl.oauthbearer.jwks.endpoint.refresh.ms")
        .default("3600000").low().no_meaning(SASL);
    /// Longest pause before the key set is read again.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MAX_MS: i64 = key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms")
        .default("10000").low().no_meaning(SASL);
    /// Pause before the key set is read again.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MS: i64 = key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms")
        .default("100").low().no_meaning(SASL);
    /// Where the key set of the token issuer is read.
    SASL_OAUTHBEARER_JWKS_ENDPOINT_URL: Option<Text> = key("sasl.oauthbearer.jwks.endpoint.url")
        .refused("SASL", &[]);
    /// Java class that gets tokens.
    SASL_OAUTHBEARER_JWT_RETRIEVER_CLASS: Class = key("sasl.oauthbearer.jwt.retriever.class")
        .default("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever")
        .refused("SASL", &[]);
    /// Java class that checks tokens.
    SASL_OAUTHBEARER_JWT_VALIDATOR_CLASS: Class = key("sasl.oauthbearer.jwt.validator.class")
        .default("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator")
        .refused("SASL", &[]);
    /// Scope asked for with a token.
    SASL_OAUTHBEARER_SCOPE: Option<Text> = key("sasl.oauthbearer.scope").refused("SASL", &[]);
    /// Name of the scope claim in a token.
    SASL_OAUTHBEARER_SCOPE_CLAIM_NAME: Text = key("sasl.oauthbearer.scope.claim.name")
        .default("scope").low().refused("SASL", &[]);
    /// Name of the subject claim in a token.
    SASL_OAUTHBEARER_SUB_CLAIM_NAME: Text = key("sasl.oauthbearer.sub.claim.name")
        .default("sub").low().refused("SASL", &[]);
    /// Where tokens are asked for.
    SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: Option<Text> = key("sasl.oauthbearer.token.endpoint.url")
        .refused("SASL", &[]);
    /// Java class that checks credentials of clients.
    SASL_SERVER_CALLBACK_HANDLER_CLASS: Option<Class> = key("sasl.server.callback.handler.class")
        .refused("SASL", &[]);
    /// Largest SASL message before a client is known.
    SASL_SERVER_MAX_RECEIVE_SIZE: i32 = key("sasl.server.max.receive.size")
        .default("524288").no_meaning(SASL);
}
