/** The operations on a vault's certificate issuers, as rows, and their JSON. Passwords come in and never go out. */
import * as v from 'valibot';
import { issuerActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { IssuerInput, Issuers, ShownIssuer } from '../../domain/certificates/certificate-types.ts';
import type { OrganizationDetails } from '../../domain/certificates/issuer-provider.ts';
import { type Reply, type VaultRoute, vaultRoute } from '../route.ts';
import type { AnyCall } from './object-routes.ts';
import { objectSchema, pageRequest, pageWire, wellFormed } from './wire.ts';

const longestText = 1024;
const longestPassword = 4096;
const mostAdministrators = 64;

const text = v.nullish(
  v.pipe(v.string(), v.maxLength(longestText, `At most ${longestText} characters.`), wellFormed()),
);

const updateSchema = objectSchema({
  provider: text,
  credentials: v.nullish(
    objectSchema({
      account_id: text,
      pwd: v.nullish(v.pipe(v.string(), v.maxLength(longestPassword), wellFormed())),
    }),
  ),
  org_details: v.nullish(
    objectSchema({
      id: text,
      admin_details: v.nullish(
        v.pipe(
          v.array(objectSchema({ first_name: text, last_name: text, email: text, phone: text })),
          v.maxLength(mostAdministrators, `At most ${mostAdministrators} administrators.`),
        ),
      ),
    }),
  ),
  attributes: v.nullish(objectSchema({ enabled: v.nullish(v.boolean()) })),
});

const kind = 'certificateissuers';
const path = '/certificates/issuers/:name';

export function certificateIssuerRoutes(issuers: Issuers): readonly VaultRoute[] {
  return [listRoute(issuers), ...readingRoutes(issuers), ...writingRoutes(issuers)];
}

function listRoute(issuers: Issuers): VaultRoute {
  return vaultRoute({
    operation: 'GetCertificateIssuers',
    audit: 'CertificateIssuersList',
    method: 'GET',
    path: '/certificates/issuers',
    action: actions.list,
    kind,
    handle: async (call) => {
      const list = 'certificates/issuers';
      const page = await issuers.list(call.grant, pageRequest(call.query, list));
      const item = ({ name, provider }: ShownIssuer) => ({ id: issuerId(call, name), provider });
      return { status: 200, body: pageWire(call, { page, list, path: `/${list}`, item }) };
    },
  });
}

function readingRoutes(issuers: Issuers): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'GetCertificateIssuer',
      audit: 'CertificateIssuerGet',
      method: 'GET',
      path,
      action: actions.get,
      kind,
      handle: async (call) => found(call, await issuers.get(call.grant)),
    }),
    vaultRoute({
      operation: 'DeleteCertificateIssuer',
      audit: 'CertificateIssuerDelete',
      method: 'DELETE',
      path,
      action: actions.delete,
      kind,
      handle: async (call) => found(call, await issuers.delete(call.grant)),
    }),
  ];
}

function writingRoutes(issuers: Issuers): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'SetCertificateIssuer',
      audit: 'CertificateIssuerSet',
      method: 'PUT',
      path,
      action: actions.set,
      kind,
      schema: updateSchema,
      handle: async (call) => {
        const input = issuerInput(call.body);
        if (input.provider === undefined)
          throw new Failure('badParameter', 'Property provider has invalid value\r\nA provider is required.');
        return found(call, await issuers.set(call.grant, { ...input, provider: input.provider }));
      },
    }),
    vaultRoute({
      operation: 'UpdateCertificateIssuer',
      audit: 'CertificateIssuerUpdate',
      method: 'PATCH',
      path,
      action: actions.set,
      kind,
      schema: updateSchema,
      handle: async (call) => found(call, await issuers.update(call.grant, issuerInput(call.body))),
    }),
  ];
}

function issuerInput(body: v.InferOutput<typeof updateSchema>): IssuerInput {
  const { provider, credentials, org_details: organization, attributes } = body;
  const password = credentials?.pwd ?? undefined;
  return {
    provider: provider ?? undefined,
    enabled: attributes?.enabled ?? undefined,
    accountId: credentials?.account_id ?? undefined,
    password: password === undefined ? undefined : SecretBytes.fromText(password),
    organization: organization
      ? {
          id: organization.id ?? undefined,
          adminDetails: organization.admin_details?.map((of) => ({
            firstName: of.first_name ?? undefined,
            lastName: of.last_name ?? undefined,
            email: of.email ?? undefined,
            phone: of.phone ?? undefined,
          })),
        }
      : undefined,
  };
}

function issuerId({ origin }: AnyCall, name: string): string {
  return `${origin}/certificates/issuers/${name}`;
}

function found(call: AnyCall, issuer: ShownIssuer): Reply {
  const { name, provider, accountId, organization, enabled, created, updated } = issuer;
  const id = issuerId(call, name);
  const body = {
    id,
    provider,
    credentials: accountId === undefined ? undefined : { account_id: accountId },
    org_details: organization && organizationWire(organization),
    attributes: { enabled, created, updated },
  };
  return { status: 200, body, id };
}

/** `zip` is a member that Azure has left over: always there, always 0 (recorded). */
function organizationWire({ id, adminDetails }: OrganizationDetails) {
  const administrators = adminDetails.map(({ firstName, lastName, email, phone }) => ({
    first_name: firstName,
    last_name: lastName,
    email,
    phone,
  }));
  return { id, zip: 0, admin_details: administrators.length === 0 ? undefined : administrators };
}
