/** The operations on a vault's certificate contacts, as rows, and their JSON. */
import * as v from 'valibot';
import { contactActions } from '../../authorization/actions.ts';
import type { Contact, Contacts } from '../../domain/certificates/certificate-types.ts';
import { type Reply, type VaultRoute, vaultRoute } from '../route.ts';
import type { AnyCall } from './object-routes.ts';
import { objectSchema, wellFormed } from './wire.ts';

const longestText = 256;
const mostContacts = 100;

const text = v.nullish(
  v.pipe(v.string(), v.maxLength(longestText, `At most ${longestText} characters.`), wellFormed()),
);

const setSchema = objectSchema({
  contacts: v.pipe(
    v.array(objectSchema({ email: text, name: text, phone: text }), 'A list of contacts is required.'),
    v.maxLength(mostContacts, `At most ${mostContacts} contacts.`),
  ),
});

const row = {
  path: '/certificates/contacts',
  action: contactActions.manage,
  kind: 'certificatecontacts',
} as const;

export function certificateContactRoutes(contacts: Contacts): readonly VaultRoute[] {
  return [
    vaultRoute({
      ...row,
      operation: 'GetCertificateContacts',
      audit: 'CertificateContactsGet',
      method: 'GET',
      handle: async (call) => found(call, await contacts.get(call.grant)),
    }),
    vaultRoute({
      ...row,
      operation: 'SetCertificateContacts',
      audit: 'CertificateContactsSet',
      method: 'PUT',
      schema: setSchema,
      handle: async (call) => {
        const given = call.body.contacts.map(({ email, name, phone }) => ({
          email: email ?? undefined,
          name: name ?? undefined,
          phone: phone ?? undefined,
        }));
        return found(call, await contacts.set(call.grant, given));
      },
    }),
    vaultRoute({
      ...row,
      operation: 'DeleteCertificateContacts',
      audit: 'CertificateContactsDelete',
      method: 'DELETE',
      handle: async (call) => found(call, await contacts.delete(call.grant)),
    }),
  ];
}

function found({ origin }: AnyCall, contacts: readonly Contact[]): Reply {
  const id = `${origin}${row.path}`;
  const shown = contacts.map(({ email, name, phone }) => ({ email, name, phone }));
  return { status: 200, body: { id, contacts: shown }, id };
}
