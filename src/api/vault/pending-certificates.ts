/** The operations on a certificate that is being made, as rows. */
import * as v from 'valibot';
import { certificateActions as actions } from '../../authorization/actions.ts';
import type { PendingCertificates, PendingOperation } from '../../domain/certificates/certificate-types.ts';
import { type Reply, type VaultRoute, vaultRoute } from '../route.ts';
import { choicesOf, mergeSchema } from './certificate-body.ts';
import { certificateId, certificateWire, pendingWire } from './certificate-wire.ts';
import type { AnyCall } from './object-routes.ts';
import { objectSchema } from './wire.ts';

/** When to ask again for what is not done yet: seconds, as Azure says it. */
export const pollLater: readonly string[] = ['Retry-After', '10'];

/** Bytes: a chain of the most certificates of the largest size, in base64. */
const largestMerge = 3 * 1024 * 1024;

const kind = 'certificates';
const path = '/certificates/:name/pending';
const cancelSchema = objectSchema({ cancellation_requested: v.boolean('It must be true or false.') });

export function pendingCertificateRoutes(pending: PendingCertificates): readonly VaultRoute[] {
  return [
    vaultRoute({
      operation: 'GetCertificateOperation',
      audit: 'CertificatePendingGet',
      method: 'GET',
      path,
      action: actions.get,
      kind,
      handle: async (call) => {
        const operation = await pending.get(call.grant);
        const headers = operation.status === 'inProgress' ? pollLater : [];
        return { ...found(call, operation), headers };
      },
    }),
    vaultRoute({
      operation: 'UpdateCertificateOperation',
      audit: 'CertificatePendingUpdate',
      method: 'PATCH',
      path,
      action: actions.update,
      kind,
      schema: cancelSchema,
      handle: async (call) => found(call, await pending.cancel(call.grant, call.body.cancellation_requested)),
    }),
    vaultRoute({
      operation: 'DeleteCertificateOperation',
      audit: 'CertificatePendingDelete',
      method: 'DELETE',
      path,
      action: actions.update,
      kind,
      handle: async (call) => found(call, await pending.delete(call.grant)),
    }),
    mergeRoute(pending),
  ];
}

function mergeRoute(pending: PendingCertificates): VaultRoute {
  return vaultRoute({
    operation: 'MergeCertificate',
    audit: 'CertificatePendingMerge',
    method: 'POST',
    path: `${path}/merge`,
    action: actions.create,
    kind,
    schema: mergeSchema,
    maxBody: largestMerge,
    handle: async (call) => {
      const { body, grant, apiVersion } = call;
      const { enabled, tags } = choicesOf(body, apiVersion);
      const certificate = await pending.merge(grant, { x5c: body.x5c, enabled, tags });
      const merged = certificateWire(call, certificate);
      const location = `${certificateId(call, certificate.name)}?api-version=${apiVersion.text}`;
      return { status: 201, body: merged, id: merged.id, headers: ['Location', location] };
    },
  });
}

function found(call: AnyCall, operation: PendingOperation): Reply {
  const body = pendingWire(call, operation);
  return { status: 200, body, id: body.id };
}
