// Ordinary Azure code: a document is encrypted under a data key that only the vault can unwrap, and is signed by the vault.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { DefaultAzureCredential } from '@azure/identity';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';

const credential = new DefaultAzureCredential();
const client = new KeyClient('https://dev.vault.azure.net', credential);
const document = Buffer.from('what is written here stays between us');

// Envelope encryption: the document under a data key, the data key under the vault's.
const wrapping = await client.createRsaKey(`example-wrapping-${Date.now()}`, { keySize: 3072 });
const wrapper = new CryptographyClient(wrapping, credential);
const dataKey = randomBytes(32);
const iv = randomBytes(12);
const cipher = createCipheriv('aes-256-gcm', dataKey, iv);
const ciphertext = Buffer.concat([cipher.update(document), cipher.final()]);
const tag = cipher.getAuthTag();
const { result: wrappedKey } = await wrapper.wrapKey('RSA-OAEP-256', dataKey);
dataKey.fill(0);
console.log(`wrap      a data key of 32 bytes as ${wrappedKey.length}, under ${wrapping.id}`);

const { result: unwrapped } = await wrapper.unwrapKey('RSA-OAEP-256', wrappedKey);
const decipher = createDecipheriv('aes-256-gcm', unwrapped, iv).setAuthTag(tag);
const opened = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
console.log(`unwrap    ${opened}`);

// A new version wraps from now on; what the old one wrapped names the version that unwraps it.
const rotated = await client.rotateKey(wrapping.name);
const { result: again } = await wrapper.unwrapKey('RSA-OAEP-256', wrappedKey);
console.log(
  `rotate    to ${rotated.properties.version}; the old version still unwraps: ${again.length} bytes`,
);

// A signature over a digest: the private key stays in the vault, the public one verifies anywhere.
const signing = await client.createEcKey(`example-signing-${Date.now()}`, { curve: 'P-256' });
const signer = new CryptographyClient(signing, credential);
const digest = createHash('sha256').update(document).digest();
const { result: signature } = await signer.sign('ES256', digest);
const { result: isGenuine } = await signer.verify('ES256', digest, signature);
const other = createHash('sha256').update('something else').digest();
const { result: isForged } = await signer.verify('ES256', other, signature);
console.log(`sign      ${Buffer.from(signature).toString('base64url')}`);
console.log(`verify    the document: ${isGenuine}, another: ${isForged}`);

for (const { name } of [wrapping, signing]) {
  await (await client.beginDeleteKey(name)).pollUntilDone();
  await client.purgeDeletedKey(name);
}
console.log('purge     done');
