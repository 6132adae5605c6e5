import { defineConfig } from "vite";

// The output is committed and compared byte for byte by `make viewer-check`: nothing in it may depend on
// the machine or the time.
export default defineConfig({
  build: {
    outDir: "../autotrace/backend/viewer/assets",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    sourcemap: false,
    target: "es2022",
    reportCompressedSize: false,
    // The notices of what is bundled travel with it.
    license: { fileName: "licenses.txt" },
  },
  server: { proxy: { "/api": "http://127.0.0.1:16686" } },
});
