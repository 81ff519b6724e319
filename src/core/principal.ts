/** Who is calling, as a verified token says. Ids are lower-case GUIDs. */
export interface Principal {
  /** Object id (`oid`): what access policies and role assignments name. */
  readonly objectId: string;
  readonly tenantId: string;
  /** Application (client) id: `appid` of v1.0 tokens, `azp` of v2.0 ones. */
  readonly appId: string | undefined;
  readonly kind: 'application' | 'user';
  /** The token's `iss`, quoted in refusals as Azure does. */
  readonly issuer: string;
  /** `upn` or `preferred_username`, for the audit log. */
  readonly userName: string | undefined;
  /** Object ids of the groups that the token names. */
  readonly groups: readonly string[];
}
