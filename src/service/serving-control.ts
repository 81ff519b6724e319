import { type Control, remoteControl } from '../api/control/client.ts';
import type { Config } from '../config.ts';

/** The operations of the process that serves the data folder; undefined if none does. */
export function servingControl(config: Config): Promise<Control | undefined> {
  return remoteControl(config.paths.control);
}
