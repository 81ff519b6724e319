/**
 * The tables, as types. The vault's id leads every key and index of what is in a vault, so that the data can be
 * spread over shards by it. Booleans are 0 or 1, JSON is text, times are integers in the unit of their port.
 */

type Bytes = Uint8Array;

export interface Schema {
  sealed_items: { name: string; root_key_id: string; sealed: Bytes };
  tenants: { id: string; name: string };
  subscriptions: {
    id: string;
    tenant_id: string;
    name: string;
    tags: string;
    /** Names with their values, as JSON, that were made for tags to come. */
    tag_names: string;
  };
  resource_groups: {
    subscription_id: string;
    name_key: string;
    name: string;
    location: string;
    tags: string;
  };
  vaults: {
    id: string;
    name_key: string;
    name: string;
    tenant_id: string;
    subscription_id: string;
    resource_group: string;
    location: string;
    sku: string;
    enable_rbac: number;
    access_policies: string;
    retention_days: number;
    purge_protection: number;
    public_network_access: string;
    network_rules: string;
    tags: string;
    created: number;
    updated: number;
    /** What only the management plane shows or asks, as JSON. */
    detail: string;
    deleted_at: number | null;
    purge_at: number | null;
  };
  vault_keys: { vault_id: string; version: number; root_key_id: string; sealed: Bytes };
  objects: {
    vault_id: string;
    kind: string;
    name_key: string;
    name: string;
    current_version: string;
    deleted: number;
    deleted_at: number | null;
    purge_at: number | null;
    detail: string | null;
    due_at: number | null;
  };
  object_versions: {
    vault_id: string;
    kind: string;
    name_key: string;
    version: string;
    enabled: number;
    not_before: number | null;
    expires: number | null;
    created: number;
    updated: number;
    managed: number;
    tags: string | null;
    detail: string | null;
    key_version: number;
    data_key: Bytes;
    value: Bytes;
  };
  principals: {
    object_id: string;
    tenant_id: string;
    app_id: string | null;
    kind: string;
    display_name: string;
    resource_id: string | null;
    /** Lower-cased resource id. */
    resource_key: string | null;
    created: number;
    /** A user's principal name, and the same lower-cased. */
    user_name: string | null;
    user_key: string | null;
    /** Graph's object id of the application behind a service principal. */
    application_id: string | null;
    enabled: number;
    detail: string;
  };
  principal_credentials: {
    key_id: string;
    object_id: string;
    hash: string;
    hint: string;
    created: number;
    expires: number;
    /** `secret`, `password`, `certificate` or `federated`. */
    kind: string;
    detail: string;
  };
  group_members: { group_id: string; member_id: string };
  /** What managed identities are as resources; the same object ids are among the principals. */
  user_assigned_identities: {
    object_id: string;
    subscription_id: string;
    /** The names, and the same lower-cased. */
    group_key: string;
    name_key: string;
    resource_group: string;
    name: string;
    location: string;
    tags: string;
    isolation_scope: string | null;
    created: number;
    updated: number;
  };
  /** Whose audience a URI is: of the application of this object id. */
  identifier_uris: { tenant_id: string; uri: string; object_id: string };
  role_assignments: {
    id: string;
    tenant_id: string;
    principal_id: string;
    role_id: string;
    scope: string;
    scope_key: string;
    created: number;
    detail: string;
  };
  role_definitions: {
    id: string;
    tenant_id: string;
    name: string;
    name_key: string;
    detail: string;
    created: number;
    updated: number;
  };
  locks: {
    scope_key: string;
    name_key: string;
    scope: string;
    name: string;
    level: string;
    detail: string;
  };
  managed_hsms: {
    id: string;
    name_key: string;
    name: string;
    tenant_id: string;
    subscription_id: string;
    resource_group: string;
    location: string;
    detail: string;
    created: number;
    updated: number;
    deleted_at: number | null;
    purge_at: number | null;
  };
  login_grants: {
    id: string;
    kind: string;
    family: string;
    object_id: string | null;
    detail: string;
    created: number;
    expires: number;
    used: number | null;
  };
  sign_in_failures: { object_id: string; failures: number; last: number; locked_until: number };
  /** What ACME authorities are answered; times are Unix milliseconds. */
  acme_challenges: { token: string; key_authorization: string; expires: number };
  audit_anchors: { log: string; seq: number; mac: string };
  /** The root keys that something may be sealed under; a new one stands sealed under its forerunner for a while. */
  root_keys: { id: string; handover_by: string | null; handover: Bytes | null };
  leases: { name: string; holder: string; term: number; beat: number };
}
