// An Express service traced with zipkin. Unsampled with SAMPLED=false; spans go to ZIPKIN_URL, as Zipkin v1 JSON by default.
const axios = require("axios");
const express = require("express");
const { BatchRecorder, Tracer, jsonEncoder, sampler } = require("zipkin");
const CLSContext = require("zipkin-context-cls");
const wrapAxios = require("zipkin-instrumentation-axiosjs");
const { expressMiddleware } = require("zipkin-instrumentation-express");
const { HttpLogger } = require("zipkin-transport-http");

const { HOST = "127.0.0.1", PORT = "0", NEXT_URL, SERVICE_NAME = "node-zipkin", ZIPKIN_URL = "http://127.0.0.1:9411" } = process.env;
const isV2 = process.env.ZIPKIN_JSON === "v2";

const logger = new HttpLogger({
  endpoint: `${ZIPKIN_URL}/api/${isV2 ? "v2" : "v1"}/spans`,
  httpInterval: 100,
  ...(isV2 ? { jsonEncoder: jsonEncoder.JSON_V2 } : {}),
});
logger.on("error", (error) => console.error(error.message));
const tracer = new Tracer({
  ctxImpl: new CLSContext("zipkin", true),
  recorder: new BatchRecorder({ logger }),
  sampler: new sampler.Sampler(process.env.SAMPLED === "false" ? sampler.neverSample : sampler.alwaysSample),
  traceId128Bit: process.env.TRACE_ID_128BIT === "true",
  localServiceName: SERVICE_NAME,
});
const http = wrapAxios(axios, { tracer, serviceName: SERVICE_NAME, remoteServiceName: "next" });

const app = express();
app.use(expressMiddleware({ tracer, port: Number(PORT) }));

app.get("/orders/:number", async (request, response) => {
  if (!NEXT_URL) return response.json({ number: request.params.number, from: SERVICE_NAME });
  try {
    const answer = await http.get(`${NEXT_URL}/orders/${request.params.number}`);
    response.json({ ...answer.data, via: [SERVICE_NAME, ...(answer.data.via ?? [])] });
  } catch (error) {
    response.status(502).json({ error: error.message });
  }
});

const server = app.listen(Number(PORT), HOST, () => console.log(`http://${HOST}:${server.address().port}`));
process.on("SIGTERM", () => server.close(() => setTimeout(() => process.exit(0), 300)));
