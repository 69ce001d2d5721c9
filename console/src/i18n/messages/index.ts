// All texts. A key is area.name; a file per area.
import { alerts } from './alerts';
import { common } from './common';
import { home } from './home';
import { settings } from './settings';
import { task } from './task';
import { usage } from './usage';
import { wizard } from './wizard';

export const messages = { ...common, ...home, ...task, ...wizard, ...settings, ...alerts, ...usage };
export type MessageKey = keyof typeof messages;
