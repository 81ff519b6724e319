/** Whom to write to about a vault's certificates: one list for all of them. */
import { contactActions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import type { Contact, Contacts } from './certificate-types.ts';
import { createSingleObjects, type SingleObject, type SingleObjectDeps } from './single-objects.ts';

/** Contacts for the vault's own letters and orders, which act for nobody. */
export interface ContactAddresses {
  /** E-mail addresses in the order of the list, each once; none if there are no contacts. */
  addressesOf(vaultId: string): Promise<readonly string[]>;
}

/** The one object of its kind in a vault. */
const objectName = 'contacts';

/**
 * One address and nothing else, since it goes into the header of a letter: no blanks and line ends, none of the
 * characters that separate addresses or give them names (RFC 5322 §3.2.3), letters of every script (RFC 6531).
 */
const address = /^[^\s@\p{Cc}"(),:;<>[\]\\]{1,64}@[^\s@\p{Cc}"(),:;<>[\]\\]{1,255}$/u;

export function createContacts(deps: SingleObjectDeps): Contacts & ContactAddresses {
  const objects = createSingleObjects(deps, 'certificatecontacts');
  const granted = (grant: VaultGrant): string => {
    assertGranted(grant, contactActions.manage);
    return grant.vault.id;
  };
  return {
    async get(grant) {
      const found = await objects.find(granted(grant), objectName);
      return contactsOf(found);
    },
    async set(grant, contacts) {
      const vaultId = granted(grant);
      for (const contact of contacts) assertContact(contact);
      const written = await objects.write(vaultId, objectName, () => {
        // There is nothing secret in it: what is sealed is empty.
        return { enabled: true, detail: JSON.stringify(contacts), value: new SecretBytes(new Uint8Array()) };
      });
      return contactsOf(written);
    },
    async delete(grant) {
      return contactsOf(await objects.remove(granted(grant), objectName));
    },
    async addressesOf(vaultId) {
      const found = await objects.find(vaultId, objectName);
      const emails = found === undefined ? [] : contactsOf(found).map(({ email }) => email);
      return [...new Set(emails.filter((email) => email !== undefined))];
    },
  };
}

function contactsOf(found: SingleObject | undefined): readonly Contact[] {
  if (found === undefined) throw new Failure('contactsNotFound', 'Contacts not found');
  return JSON.parse(found.detail) as Contact[];
}

function assertContact({ email, name, phone }: Contact): void {
  if (email === undefined || !address.test(email)) throw badContacts('A contact has an e-mail address.');
  if (/\p{Cc}/u.test(`${name}${phone}`)) throw badContacts('A name and a phone number are one line each.');
}

function badContacts(why: string): Failure {
  return new Failure('badParameter', `Property contacts has invalid value\r\n${why}`);
}
