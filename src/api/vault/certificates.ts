/** The operations on certificates, their policies and deleted certificates, as rows. */
import { certificateActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type {
  Certificates,
  ShownCertificate,
  ShownPolicy,
} from '../../domain/certificates/certificate-types.ts';
import { type Reply, type VaultCall, type VaultRoute, vaultRoute } from '../route.ts';
import {
  choicesOf,
  createSchema,
  importSchema,
  policyInput,
  policySchema,
  updateSchema,
} from './certificate-body.ts';
import { certificateItemWire, certificateWire, pendingWire, policyWire } from './certificate-wire.ts';
import { type AnyCall, type ObjectLists, objectRoutes } from './object-routes.ts';
import { pollLater } from './pending-certificates.ts';

/** Bytes: a PFX of a megabyte in base64, and what is around it. */
const largestImport = 1536 * 1024;

const kind = 'certificates';

export function certificateRoutes(certificates: Certificates): readonly VaultRoute[] {
  return [
    ...makingRoutes(certificates),
    ...liveRoutes(certificates),
    ...policyRoutes(certificates),
    ...objectRoutes({
      noun: 'Certificate',
      kind,
      actions,
      operations: certificates,
      lists: lists(certificates),
      backupSince: '7.0',
      found,
      item: certificateItemWire,
    }),
  ];
}

function makingRoutes(certificates: Certificates): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'CreateCertificate',
      audit: 'CertificateCreate',
      method: 'POST',
      path: '/certificates/:name/create',
      action: actions.create,
      kind,
      schema: createSchema,
      handle: async (call) => {
        assertUsable(call);
        const pending = await certificates.create(call.grant, choicesOf(call.body, call.apiVersion));
        const body = pendingWire(call, pending);
        const location = `${body.id}?api-version=${call.apiVersion.text}&request_id=${pending.requestId}`;
        return { status: 202, body, id: body.id, headers: ['Location', location, ...pollLater] };
      },
    }),
    vaultRoute({
      operation: 'ImportCertificate',
      audit: 'CertificateImport',
      method: 'POST',
      path: '/certificates/:name/import',
      action: actions.import,
      kind,
      schema: importSchema,
      maxBody: largestImport,
      handle: async (call) => {
        assertUsable(call);
        const { body, grant, apiVersion } = call;
        const value = SecretBytes.fromText(body.value);
        const password = body.pwd ?? undefined;
        return found(
          call,
          await certificates.import(grant, { ...choicesOf(body, apiVersion), value, password }),
        );
      },
    }),
  ];
}

function liveRoutes(certificates: Certificates): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'GetCertificate',
      audit: 'CertificateGet',
      method: 'GET',
      path: '/certificates/:name/:version?',
      action: actions.get,
      kind,
      handle: (call) => {
        const known = certificates.known(call.grant, call.version);
        if (known !== undefined) return foundAsked(call, known);
        return certificates.get(call.grant, call.version).then((shown) => foundAsked(call, shown));
      },
    }),
    vaultRoute({
      operation: 'UpdateCertificate',
      audit: 'CertificateUpdate',
      method: 'PATCH',
      path: '/certificates/:name/:version?',
      action: actions.update,
      kind,
      schema: updateSchema,
      handle: async (call) => {
        const { version, grant } = call;
        const { enabled, tags, policy } = choicesOf(call.body, call.apiVersion);
        const shown = await certificates.update(grant, { enabled, tags, policy, version });
        return foundAsked(call, shown);
      },
    }),
  ];
}

function policyRoutes(certificates: Certificates): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'GetCertificatePolicy',
      audit: 'CertificatePolicyGet',
      method: 'GET',
      path: '/certificates/:name/policy',
      action: actions.get,
      kind,
      handle: async (call) => policyReply(call, await certificates.getPolicy(call.grant)),
    }),
    vaultRoute({
      operation: 'UpdateCertificatePolicy',
      audit: 'CertificatePolicyUpdate',
      method: 'PATCH',
      path: '/certificates/:name/policy',
      action: actions.update,
      kind,
      schema: policySchema,
      handle: async (call) => {
        const input = policyInput(call.body, call.apiVersion);
        return policyReply(call, await certificates.updatePolicy(call.grant, input));
      },
    }),
  ];
}

function lists(certificates: Certificates): ObjectLists<ShownCertificate> {
  return {
    live: (call, page) => certificates.list(call.grant, { ...page, includePending: includePending(call) }),
    deleted: (call, page) =>
      certificates.listDeleted(call.grant, { ...page, includePending: includePending(call) }),
    parameters: ['includePending'],
  };
}

function includePending({ query }: VaultCall): boolean {
  const asked = query.get('includePending')?.toLowerCase() ?? 'false';
  if (asked === 'true' || asked === 'false') return asked === 'true';
  throw new Failure('badParameter', 'The parameter includePending must be true or false.');
}

/** Paths below these are those of the vault's issuers and contacts: no certificate of such a name could be reached. */
const reserved = ['issuers', 'contacts'];

function assertUsable({ grant }: AnyCall): void {
  const { name = '' } = grant.target;
  if (reserved.includes(name.toLowerCase()))
    throw new Failure('badParameter', `The request URI contains an invalid name: ${name}`);
}

/** Who names a version is shown that version, not what is to become of the certificate (recorded). */
function foundAsked(call: AnyCall & Pick<VaultCall, 'version'>, certificate: ShownCertificate): Reply {
  if (call.version === undefined) return found(call, certificate);
  return found(call, { ...certificate, policy: undefined, hasPending: false });
}

function found(call: AnyCall, certificate: ShownCertificate): Reply {
  const body = certificateWire(call, certificate);
  return { status: 200, body, id: body.id };
}

function policyReply(call: AnyCall, policy: ShownPolicy): Reply {
  const body = policyWire(call, policy);
  return { status: 200, body, id: body.id };
}
