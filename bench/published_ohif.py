"""The peer of the viewer: OHIF as it is published, before Orthanc."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anteroom.demo.orthanc import Orthanc
from bench.servers import connects, end, free_port, wait
from scripts import viewer

_NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types;
  access_log off;
  sendfile on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{port};
    location /dicom-web/ {{
      proxy_pass {pacs}/dicom-web/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
    location / {{ root {app}; try_files $uri /index.html; }}
  }}
}}
"""
_OHIF = """window.config = {
  routerBasename: '/', extensions: [], modes: [], customizationService: {}, showStudyList: true,
  maxNumberOfWebWorkers: 3, showLoadingIndicator: true, investigationalUseDialog: { option: 'never' },
  maxNumRequests: { interaction: 100, thumbnail: 6, prefetch: 25 }, studyPrefetcher: { enabled: false },
  defaultDataSourceName: 'dicomweb',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'Orthanc', name: 'orthanc', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: true, supportsReject: false, supportsFuzzyMatching: true,
      supportsWildcard: true,
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
      omitQuotationForMultipartRequest: true, bulkDataURI: { enabled: true, relativeResolution: 'studies' },
    },
  }],
};
localStorage.setItem('shownTours', '["basicViewerTour"]');
"""


@contextmanager
def published_ohif(folder: Path, pacs: Orthanc) -> Iterator[str]:
    """OHIF as it is published, served by nginx before Orthanc as OHIF's own guide has it; yields its address.
    Nothing is packed: on loopback that would only cost time."""
    folder.mkdir(parents=True)
    app = viewer.fetched(folder)
    (app / "app-config.js").write_text(_OHIF)
    port = free_port()
    text = _NGINX.format(folder=folder, port=port, pacs=pacs.url, app=app)
    (folder / "nginx.conf").write_text(text)
    own = "user root; " if os.geteuid() == 0 else ""
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", f"{own}daemon off;"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait(process, lambda: connects(port), folder / "error.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)
