// An Express service without a line of tracing code: start it with
//   node --require @opentelemetry/auto-instrumentations-node/register server.js
const axios = require("axios");
const express = require("express");

const { HOST = "127.0.0.1", PORT = "0", NEXT_URL, OTEL_SERVICE_NAME = "node-otel" } = process.env;

const app = express();

app.get("/orders/:number", async (request, response) => {
  if (!NEXT_URL) return response.json({ number: request.params.number, from: OTEL_SERVICE_NAME });
  try {
    const answer = await axios.get(`${NEXT_URL}/orders/${request.params.number}`);
    response.json({ ...answer.data, via: [OTEL_SERVICE_NAME, ...(answer.data.via ?? [])] });
  } catch (error) {
    response.status(502).json({ error: error.message });
  }
});

const server = app.listen(Number(PORT), HOST, () => console.log(`http://${HOST}:${server.address().port}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
