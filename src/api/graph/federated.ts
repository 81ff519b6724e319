/** Federated identity credentials of applications in Graph, found by id or by name. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { addFederated, changeFederated, federatedOf } from '../../identity/applications.ts';
import type { ClientCredential } from '../../identity/principals.ts';
import { findApplication, resourceNotFound } from './find.ts';
import { type GraphCall, type GraphReply, type GraphRoute, graphRoute } from './route.ts';
import { federatedWire } from './wire.ts';

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(600));
const audiences = v.pipe(v.array(text), v.length(1, 'There must be exactly one audience.'));
const members = { issuer: text, subject: text, audiences, description: v.nullish(text) };
const newFederated = v.looseObject({ name: text, ...members });
const changedFederated = v.looseObject(v.partial(v.object(members)).entries);

const collection = '/applications/:id/federatedIdentityCredentials';

export const federatedRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphFederatedList',
    method: 'GET',
    path: collection,
    changes: false,
    async handle(call) {
      const value = (await listed(call)).map(federatedWire);
      return { status: 200, body: { '@odata.context': `${call.base}/$metadata#${name}`, value } };
    },
  }),
  graphRoute({
    audit: 'GraphFederatedCreate',
    method: 'POST',
    path: collection,
    changes: true,
    schema: newFederated,
    async handle(call) {
      const { objectId } = await findApplication(call);
      const { description, ...given } = call.body;
      assertNoExpression(call.body);
      const made = await addFederated(call.deps, objectId, {
        ...given,
        description: description ?? undefined,
      });
      return { ...reply(call, made), status: 201 };
    },
  }),
  graphRoute({
    audit: 'GraphFederatedGet',
    method: 'GET',
    path: `${collection}/:credential`,
    changes: false,
    handle: async (call) => reply(call, await credentialOf(call)),
  }),
  graphRoute({
    audit: 'GraphFederatedUpdate',
    method: 'PATCH',
    path: `${collection}/:credential`,
    changes: true,
    schema: changedFederated,
    async handle(call) {
      const was = await credentialOf(call);
      assertNoExpression(call.body);
      const { issuer, subject, audiences: accepted, description } = call.body;
      await changeFederated(call.deps.store, was, {
        ...(issuer === undefined ? {} : { issuer }),
        ...(subject === undefined ? {} : { subject }),
        ...(accepted === undefined ? {} : { audiences: accepted }),
        ...(description === undefined ? {} : { description: description ?? undefined }),
      });
      return { status: 204, id: was.keyId };
    },
  }),
  graphRoute({
    audit: 'GraphFederatedDelete',
    method: 'DELETE',
    path: `${collection}/:credential`,
    changes: true,
    async handle(call) {
      const { objectId, keyId } = await credentialOf(call);
      if (!(await call.deps.store.removeCredential(objectId, keyId))) throw resourceNotFound(keyId);
      return { status: 204, id: keyId };
    },
  }),
];

const name = 'federatedIdentityCredentials';

/** Beta's patterns in the place of a subject would trust more than what is kept. */
function assertNoExpression(body: Readonly<Record<string, unknown>>): void {
  if (body.claimsMatchingExpression !== undefined && body.claimsMatchingExpression !== null)
    throw new Failure('badParameter', "The property 'claimsMatchingExpression' is not supported.");
}

async function listed(call: GraphCall<unknown>): Promise<readonly ClientCredential[]> {
  const { objectId } = await findApplication(call);
  return federatedOf(await call.deps.store.credentialsOf(objectId));
}

async function credentialOf(call: GraphCall<unknown>): Promise<ClientCredential> {
  const key = call.params.credential ?? '';
  const all = await listed(call);
  const found =
    all.find(({ keyId }) => keyId === key.toLowerCase()) ??
    all.find(({ detail }) => detail.federated?.name === key);
  if (found === undefined) throw resourceNotFound(key);
  return found;
}

function reply(call: GraphCall<unknown>, credential: ClientCredential): GraphReply {
  const context = `${call.base}/$metadata#${name}/$entity`;
  return {
    status: 200,
    body: { '@odata.context': context, ...federatedWire(credential) },
    id: credential.keyId,
  };
}
