# Serves a model that was exported (`residua export RUN --format onnx`); without torch.
# docker build -t residua .
# docker run -p 8000:8000 -e RESIDUA_TOKEN=... -v "$PWD/runs/parts:/run/model:ro" residua
FROM python:3.12-slim
COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt "/src[serve]" onnxruntime
RUN useradd --system residua
USER residua
EXPOSE 8000
CMD ["residua", "serve", "/run/model", "--engine", "onnx", "--host", "0.0.0.0", "--port", "8000"]
