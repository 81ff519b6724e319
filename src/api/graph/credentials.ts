/** Secrets and certificates of applications in Graph. A service principal has those of its application. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { addCertificate } from '../../identity/applications.ts';
import type { PrincipalRecord } from '../../identity/principals.ts';
import { type GraphCall, type GraphRoute, graphRoute } from './route.ts';
import { guidText, secretWire, shortText, timeText, timeWire } from './wire.ts';

/** Graph's default; a secret of this server lives no longer either. */
const usualLifetime = 2 * 365 * 24 * 60 * 60 * 1000;
/** How far the clock of whoever asks may be ahead, in milliseconds. */
const startLeeway = 10 * 60 * 1000;
const mostCertificates = 50;

const newPassword = v.object({
  passwordCredential: v.nullish(
    v.object({
      displayName: v.nullish(shortText),
      startDateTime: v.nullish(timeText),
      endDateTime: v.nullish(timeText),
    }),
  ),
});
const oldPassword = v.object({ keyId: guidText });

/** The list as it is to be: a certificate that is there already is named by its id alone. */
export const keyCredentials = v.pipe(
  v.array(
    v.object({
      keyId: v.nullish(guidText),
      key: v.nullish(v.pipe(v.string(), v.maxLength(64 * 1024))),
      displayName: v.nullish(shortText),
      startDateTime: v.nullish(timeText),
      endDateTime: v.nullish(timeText),
      type: v.nullish(v.literal('AsymmetricX509Cert', 'Only the type AsymmetricX509Cert is supported.')),
      usage: v.nullish(v.literal('Verify', 'Only the usage Verify is supported.')),
    }),
  ),
  v.maxLength(mostCertificates),
);

export function passwordRoutes(
  collection: string,
  find: (call: GraphCall<unknown>) => Promise<PrincipalRecord>,
): readonly GraphRoute[] {
  return [
    graphRoute({
      audit: 'GraphPasswordAdd',
      method: 'POST',
      path: `/${collection}/:id/addPassword`,
      changes: true,
      schema: newPassword,
      async handle(call) {
        const { deps } = call;
        const { objectId } = await find(call);
        const asked = call.body.passwordCredential;
        const now = deps.clock.now();
        assertStarted(asked?.startDateTime, now);
        const { credential, secret } = await deps.addSecret({
          objectId,
          expires: asked?.endDateTime ?? now + usualLifetime,
          displayName: asked?.displayName ?? undefined,
        });
        return {
          status: 200,
          body: {
            '@odata.context': `${call.base}/$metadata#microsoft.graph.passwordCredential`,
            ...secretWire(credential),
            secretText: secret.exposeText(),
          },
          id: credential.keyId,
        };
      },
    }),
    graphRoute({
      audit: 'GraphPasswordRemove',
      method: 'POST',
      path: `/${collection}/:id/removePassword`,
      changes: true,
      schema: oldPassword,
      async handle(call) {
        const { objectId } = await find(call);
        const keyId = call.body.keyId.toLowerCase();
        const credentials = await call.deps.store.credentialsOf(objectId);
        const isThere = credentials.some((entry) => entry.kind === 'secret' && entry.keyId === keyId);
        if (!isThere || !(await call.deps.store.removeCredential(objectId, keyId)))
          throw new Failure('badParameter', `No password credential found with keyId ${keyId}.`);
        return { status: 204, id: keyId };
      },
    }),
  ];
}

/** Makes the certificates of an application those of the list: adds first, so that one that is bad changes nothing. */
export async function putCertificates(
  call: GraphCall<unknown>,
  objectId: string,
  list: v.InferOutput<typeof keyCredentials>,
): Promise<void> {
  const { deps } = call;
  const before = (await deps.store.credentialsOf(objectId)).filter(({ kind }) => kind === 'certificate');
  const kept = new Set<string>();
  for (const item of list) {
    const keyId = item.keyId?.toLowerCase();
    const known = before.find((entry) => entry.keyId === keyId);
    if (known !== undefined) {
      kept.add(known.keyId);
      continue;
    }
    if (item.key === undefined || item.key === null)
      throw new Failure('badParameter', 'A new key credential needs its key.');
    assertStarted(item.startDateTime, deps.clock.now());
    await addCertificate(deps, {
      objectId,
      certificate: pemOf(item.key),
      expires: item.endDateTime ?? undefined,
      displayName: item.displayName ?? undefined,
      keyId,
    });
  }
  for (const { keyId } of before) if (!kept.has(keyId)) await deps.store.removeCredential(objectId, keyId);
}

/** `key` is DER in base64; some clients send the base64 of the PEM text. */
function pemOf(key: string): string {
  const decoded = Buffer.from(key, 'base64').toString('latin1');
  return decoded.startsWith('-----BEGIN CERTIFICATE-----') ? decoded : key;
}

/** A credential counts from the moment it is kept: one that is to count later only is refused. */
function assertStarted(starts: number | null | undefined, now: number): void {
  if (typeof starts === 'number' && starts > now + startLeeway) {
    throw new Failure(
      'badParameter',
      `A credential cannot begin in the future (startDateTime ${timeWire(starts)}).`,
    );
  }
}
