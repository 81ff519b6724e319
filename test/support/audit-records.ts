/** What a test server has written to its audit log. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestServer } from './server.ts';

/** The members that tests look at; the rest is there too. */
export interface AuditRecord {
  readonly time: string;
  readonly operationName: string;
  readonly resultType: string;
  readonly resultDescription: string;
  readonly resourceId: string;
  readonly callerIpAddress: string;
  readonly correlationId: string;
  readonly identity: { readonly claim: Readonly<Record<string, string>> };
  readonly properties: { readonly requestUri: string; readonly httpStatusCode: number };
}

/** All records so far, oldest first. */
export async function auditRecords(server: Pick<TestServer, 'folder'>): Promise<AuditRecord[]> {
  const folder = join(server.folder, 'audit');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts
    .join('')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditRecord)
    .filter((record) => record.operationName !== undefined);
}

/** What was recorded while `during` ran. */
export async function auditedDuring(
  server: Pick<TestServer, 'folder'>,
  during: () => Promise<unknown>,
): Promise<AuditRecord[]> {
  const before = (await auditRecords(server)).length;
  await during();
  return (await auditRecords(server)).slice(before);
}
