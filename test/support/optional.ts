/** Parts of the suite that need a tool which not every machine has. */

/**
 * Whether the part can run. A missing tool is said in one line, and is an error where everything is required
 * (`STRONGROOM_REQUIRE_ALL=1`).
 */
export function optional(part: string, found: boolean, why = 'its tool is not installed'): boolean {
  if (found) return true;
  if (process.env.STRONGROOM_REQUIRE_ALL === '1') throw new Error(`${part}: ${why}`);
  console.log(`skipped: ${part} (${why})`);
  return false;
}

/** Whether a part can run that goes by a tool which is not to be had everywhere, so that none may insist on it. */
export function whereFound(part: string, found: boolean): boolean {
  if (!found) console.log(`skipped: ${part} (its tool is not installed)`);
  return found;
}
