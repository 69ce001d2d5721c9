// All texts. A key is area.name; a file per area.
import { common } from './common';
import { home } from './home';
import { settings } from './settings';
import { task } from './task';
import { wizard } from './wizard';

export const messages = { ...common, ...home, ...task, ...wizard, ...settings };
export type MessageKey = keyof typeof messages;
