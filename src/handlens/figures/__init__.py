"""The pictures: `dataset` (photos, classes), `scores` (models), `sheets` (contact sheets), `style`.

Nothing here imports torch, scikit-learn or scipy: table stages draw within their second.
"""
