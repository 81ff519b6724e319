/** Where the audit logs of a server's processes are: each process has a log, a chain and an anchor of its own. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { auditFolder, auditSlots, mergeVerifications } from '../audit/several.ts';
import { type AuditVerification, verifyAuditLog } from '../audit/verify.ts';
import { isGuid } from '../core/names.ts';
import type { Random } from '../core/random.ts';
import { anchoredLogs, createAnchorStore } from '../storage/audit-anchor.ts';
import type { Store, Tools } from './data.ts';

/** Checks the logs of all processes, those too whose folders are gone and whose anchors are not. */
export async function verifyAuditLogs(
  tools: Pick<Tools, 'config' | 'random'>,
  { db, auditMac: mac }: Pick<Store, 'db' | 'auditMac'>,
): Promise<AuditVerification> {
  const root = tools.config.paths.audit;
  const anchored = (await anchoredLogs(db)).flatMap((log) => slotOf(log, auditLogName(tools)));
  const slots = new Set([...auditSlots(root), ...anchored]);
  const results: { slot: number; result: AuditVerification }[] = [];
  for (const slot of [...slots].sort((a, b) => a - b)) {
    const anchors = createAnchorStore(db, auditLogName(tools, slot));
    const folder = auditFolder(root, slot);
    results.push({ slot, result: await verifyAuditLog({ mac, anchors }, folder) });
  }
  return mergeVerifications(results);
}

function slotOf(log: string, node: string): number[] {
  if (!log.startsWith(`${node}/`)) return [];
  return [Number(log.slice(node.length + 1))];
}

/** The name under which the log's anchor is kept; nodes that share a database differ by the ids of their folders. */
export function auditLogName({ config, random }: Pick<Tools, 'config' | 'random'>, slot = 1): string {
  const node = config.databaseUrl === undefined ? 'local' : nodeId(config.paths.node, random);
  return slot === 1 ? node : `${node}/${slot}`;
}

/** Made once for each data folder, by its first process. */
function nodeId(path: string, random: Random): string {
  if (!existsSync(path)) {
    // Whole or not there: a crash must not leave an empty one.
    const next = `${path}.new`;
    writeFileSync(next, random.guid(), { mode: 0o600, flush: true });
    renameSync(next, path);
  }
  const id = readFileSync(path, 'utf8').trim();
  if (!isGuid(id)) throw new Error(`${path} does not hold the id of this node.`);
  return id;
}
