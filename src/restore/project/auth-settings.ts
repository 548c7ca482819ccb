/**
 * What `PATCH /config/auth` takes, of the published description (docs/spec/project.md): its body `UpdateAuthConfigBody`.
 * The answer of `GET` has three fields more, which nothing sets.
 */
const PROVIDERS = [
  ["apple", "azure", "bitbucket", "discord", "facebook", "figma", "github", "gitlab", "google"],
  ["kakao", "keycloak", "linkedin_oidc", "notion", "slack", "slack_oidc", "spotify", "twitch"],
  ["twitter", "workos", "x", "zoom"],
].flat();
const HOOKS = [
  ["after_user_created", "before_user_created", "custom_access_token", "mfa_verification_attempt"],
  ["password_verification_attempt", "send_email", "send_sms"],
].flat();
const MAILS = [
  ["confirmation", "email_change", "invite", "magic_link", "reauthentication", "recovery"],
].flat();
const NOTICES = [
  ["email_changed", "identity_linked", "identity_unlinked", "mfa_factor_enrolled"],
  ["mfa_factor_unenrolled", "password_changed", "phone_changed"],
].flat();

const OTHERS = [
  ["api_max_request_duration", "custom_oauth_enabled", "db_max_pool_size"],
  ["db_max_pool_size_unit", "disable_signup", "external_anonymous_users_enabled"],
  ["external_apple_additional_client_ids", "external_azure_url", "external_email_enabled"],
  ["external_gitlab_url", "external_google_additional_client_ids"],
  ["external_google_skip_nonce_check", "external_keycloak_url", "external_phone_enabled"],
  ["external_web3_ethereum_enabled", "external_web3_solana_enabled", "external_workos_url"],
  ["jwt_exp", "mailer_allow_unverified_email_sign_ins", "mailer_autoconfirm", "mailer_otp_exp"],
  ["mailer_otp_length", "mailer_secure_email_change_enabled", "mfa_max_enrolled_factors"],
  ["mfa_phone_enroll_enabled", "mfa_phone_max_frequency", "mfa_phone_otp_length"],
  ["mfa_phone_template", "mfa_phone_verify_enabled", "mfa_totp_enroll_enabled"],
  ["mfa_totp_verify_enabled", "mfa_web_authn_enroll_enabled", "mfa_web_authn_verify_enabled"],
  ["nimbus_oauth_client_id", "nimbus_oauth_client_secret"],
  ["oauth_server_allow_dynamic_registration", "oauth_server_authorization_path"],
  ["oauth_server_enabled", "passkey_enabled", "password_hibp_enabled", "password_min_length"],
  ["password_required_characters", "rate_limit_anonymous_users", "rate_limit_email_sent"],
  ["rate_limit_otp", "rate_limit_sms_sent", "rate_limit_token_refresh", "rate_limit_verify"],
  ["rate_limit_web3", "refresh_token_rotation_enabled", "saml_enabled", "saml_external_url"],
  ["security_captcha_enabled", "security_captcha_provider", "security_captcha_secret"],
  ["security_manual_linking_enabled", "security_refresh_token_reuse_interval"],
  ["security_sb_forwarded_for_enabled", "security_update_password_require_reauthentication"],
  ["sessions_inactivity_timeout", "sessions_single_per_user", "sessions_tags"],
  ["sessions_timebox", "site_url", "sms_autoconfirm", "sms_max_frequency"],
  ["sms_messagebird_access_key", "sms_messagebird_originator", "sms_otp_exp", "sms_otp_length"],
  ["sms_provider", "sms_template", "sms_test_otp", "sms_test_otp_valid_until"],
  ["sms_textlocal_api_key", "sms_textlocal_sender", "sms_twilio_account_sid"],
  ["sms_twilio_auth_token", "sms_twilio_content_sid", "sms_twilio_message_service_sid"],
  ["sms_twilio_verify_account_sid", "sms_twilio_verify_auth_token"],
  ["sms_twilio_verify_message_service_sid", "sms_vonage_api_key", "sms_vonage_api_secret"],
  ["sms_vonage_from", "smtp_admin_email", "smtp_host", "smtp_max_frequency", "smtp_pass"],
  ["smtp_port", "smtp_sender_name", "smtp_user", "uri_allow_list", "webauthn_rp_display_name"],
  ["webauthn_rp_id", "webauthn_rp_origins"],
].flat();

function providerFields(name: string): readonly string[] {
  const fields = [
    "client_id",
    "enabled",
    "secret",
    ...(name === "workos" ? [] : ["email_optional"]),
  ];
  return fields.map((field) => `external_${name}_${field}`);
}

export const AUTH_SETTINGS: ReadonlySet<string> = new Set([
  ...PROVIDERS.flatMap(providerFields),
  ...HOOKS.flatMap((hook) => ["enabled", "secrets", "uri"].map((field) => `hook_${hook}_${field}`)),
  ...MAILS.flatMap((mail) => [`mailer_subjects_${mail}`, `mailer_templates_${mail}_content`]),
  ...NOTICES.flatMap((notice) => [
    `mailer_notifications_${notice}_enabled`,
    `mailer_subjects_${notice}_notification`,
    `mailer_templates_${notice}_notification_content`,
  ]),
  ...OTHERS,
]);

/** Of them those that the body does not take as null. */
export const AUTH_NEVER_NULL: ReadonlySet<string> = new Set([
  "custom_oauth_enabled",
  "mailer_otp_exp",
  "passkey_enabled",
  "sms_otp_length",
]);
