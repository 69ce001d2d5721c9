import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// Development: PGSLUICE_URL=http://127.0.0.1:7432 npm run dev
const service = process.env.PGSLUICE_URL ?? 'http://127.0.0.1:7432';

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.CONSOLE_OUT ?? 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's policy allows files of this server only
    modulePreload: { polyfill: false },
    target: 'es2021',
    chunkSizeWarningLimit: 2000,
  },
  server: { proxy: { '/api': service, '/healthz': service } },
});
