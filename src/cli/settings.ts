import type { Command } from 'commander';
import { type Config, loadConfig } from '../config.ts';

/** What any command may need to find the data and to open it. */
const everywhere = ['data', 'passphraseFile', 'databaseUrl', 'databaseUrlFile', 'databaseTlsCa'];

/** The settings for a command: those of its flags named in `flags`, and what stands before every command. */
export function configOf(command: Command, flags: readonly string[] = []): Config {
  const given = command.optsWithGlobals() as Record<string, unknown>;
  const chosen = Object.fromEntries([...everywhere, ...flags].map((name) => [name, given[name]]));
  return loadConfig({
    flags: chosen,
    configFile: typeof given.config === 'string' ? given.config : undefined,
  });
}
